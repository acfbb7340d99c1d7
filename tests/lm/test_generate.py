"""How a token is chosen; what a batch writes is tested through the local model."""

import pytest
import torch

from espalier.errors import RecipeError
from espalier.lm.generate import Sampling, evaluating


def test_formula_choose_inverts_the_cumulative_distribution():
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log().repeat(5, 1)
    chance = torch.tensor([0.0, 0.49, 0.51, 0.69, 0.71])
    sampling = Sampling(1.0, 1.0, 1, 0)
    assert sampling.choose(logits, chance).tolist() == [0, 0, 1, 1, 2]
    # the two likeliest reach 0.6: token 1 is out, 0 and 2 have 0.5 / 0.8 and 0.3 / 0.8
    assert Sampling(1.0, 0.6, 1, 0).choose(logits, chance).tolist() == [0, 0, 0, 2, 2]
    # at temperature 0.5 they are squared, 25 : 4 : 9 of 38, and the borders lie at 0.658 and 0.763
    assert Sampling(0.5, 1.0, 1, 0).choose(logits, chance).tolist() == [0, 0, 0, 1, 1]


def test_a_token_without_probability_is_never_chosen():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).repeat(2, 1)
    edges = torch.tensor([0.0, 1 - 2**-24])  # the ends of what torch.rand gives
    assert Sampling(1.0, 1.0, 1, 0).choose(logits, edges).tolist() == [1, 3]
    assert Sampling(0.0, 1.0, 1, 0).choose(logits, edges).tolist() == [1, 1]


@pytest.mark.parametrize("wrong", [(-1.0, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.1, 1), (1.0, 1.0, 0)])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(RecipeError, match="at least"):
        Sampling(*wrong, 0)


def test_evaluating_restores_every_module():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not model.training and not model[0].training and not torch.is_grad_enabled()
        _ = 1 / 0
    assert model.training and model[0].training and not model[1].training and torch.is_grad_enabled()
