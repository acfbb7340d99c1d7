"""Direct preference optimization: the equation, its gradient, and that it learns in the right direction."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from espalier.errors import RecipeError, RowError
from espalier.objectives.dpo import DPO, dpo_loss
from espalier.render import Renderer
from espalier.train.step import optimize
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree
from tests.tokenizers import chat_tokenizer
from tests.train.toys import branch, models_of, pair, prepared, small

EXACT = {"rtol": 1e-12, "atol": 0.0}
CHOSEN, REJECTED = [0.0, 2.0, -1.5], [0.0, -1.0, 2.5]  # log-ratios, in nats


def numbers(values):
    return tensor(values, dtype=torch.float64)


def test_formula_dpo():
    # margins beta * d = 0, 0.3, -0.4; -log sigmoid(m) = log(1 + e^-m)
    got = dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.1)
    expected = [math.log(2), math.log1p(math.exp(-0.1 * 3.0)), math.log1p(math.exp(0.1 * 4.0))]
    assert_close(got, numbers(expected), **EXACT)


def test_formula_label_smoothing():
    # with probability 0.2 the labels are swapped: 0.8 * log(1 + e^-m) + 0.2 * log(1 + e^m)
    got = dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.5, label_smoothing=0.2)
    margins = [0.5 * (w - r) for w, r in zip(CHOSEN, REJECTED, strict=True)]
    expected = [0.8 * math.log1p(math.exp(-m)) + 0.2 * math.log1p(math.exp(m)) for m in margins]
    assert_close(got, numbers(expected), **EXACT)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_formula_the_gradient_is_beta_times_how_wrong_the_implicit_reward_is(smoothing):
    # eq. 7's gradient: -beta * sigmoid(r_l - r_w) in the chosen log-ratio, with r = beta * log-ratio
    chosen, rejected = numbers(CHOSEN).requires_grad_(), numbers(REJECTED).requires_grad_()
    dpo_loss(chosen, rejected, beta=0.1, label_smoothing=smoothing).sum().backward()
    expected = []
    for w, r in zip(CHOSEN, REJECTED, strict=True):
        wrong = 1 / (1 + math.exp(0.1 * (w - r)))
        expected.append(-0.1 * ((1 - smoothing) * wrong - smoothing * (1 - wrong)))
    assert_close(chosen.grad, numbers(expected), **EXACT)
    assert_close(rejected.grad, -chosen.grad, **EXACT)


def test_property_the_loss_is_log_two_at_the_reference_whatever_the_options():
    zero = numbers([1.7])
    for beta in (0.01, 5.0):
        for smoothing in (0.0, 0.4):
            assert float(dpo_loss(zero, zero, beta=beta, label_smoothing=smoothing)) == pytest.approx(math.log(2))


def test_property_swapping_the_pair_negates_the_margin():
    one, other = (dpo_loss(numbers([a]), numbers([b]), beta=1.0) for a, b in ((2.0, 0.5), (0.5, 2.0)))
    assert float(other - one) == pytest.approx(1.5)  # log(1 + e^m) - log(1 + e^-m) = m


def test_property_extreme_margins_stay_finite():
    assert torch.isfinite(dpo_loss(numbers([1e4, -1e4]), numbers([0.0, 0.0]), beta=1.0)).all()


def test_formula_the_loss_of_a_batch_from_the_logits_of_the_models_themselves():
    policy, reference = small(0).double(), small(1).double()
    models = models_of(DPO(), policy)
    forest = Forest.plant([pair(0), pair(1, weight=3.0)])
    forest.put("reference_logps", torch.stack([logp(reference, path) for path in forest.paths]), level="completion")
    loss = DPO(beta=0.3).loss(models, forest)
    total = 0.0
    for number, weight in ((0, 1.0), (1, 3.0)):
        w, r = (float(logp(policy, path) - logp(reference, path)) for path in forest.paths[2 * number : 2 * number + 2])
        total += weight * math.log1p(math.exp(-0.3 * (w - r)))
        assert float(loss.metrics["accuracy"][number]) == (w > r)
        assert float(loss.metrics["margin"][number]) == pytest.approx(0.3 * (w - r))
        assert float(loss.metrics["chosen_reward"][number]) == pytest.approx(0.3 * w)
        assert float(loss.metrics["rejected_reward"][number]) == pytest.approx(0.3 * r)
    assert float(loss.terms["loss"].total.detach()) == pytest.approx(total, rel=1e-10)


def logp(model, path):
    """log p of a completion by the model's own forward."""
    ids = torch.from_numpy(path.ids).long()
    with torch.no_grad():
        logps = model(ids[None]).logits[0].log_softmax(-1)
    return sum(logps[at - 1, ids[at]] for at in path.counted)


def test_property_which_side_is_planted_first_does_not_matter():
    one = pair(3)
    index = {"chosen": Field([1], index="completion"), "rejected": Field([0], index="completion")}
    other = Tree(one.branches[::-1], {**one.fields, **index})
    assert value([one]) == pytest.approx(value([other]), rel=1e-10)
    assert value([one, pair(4)]) == pytest.approx(value([pair(4), other]), rel=1e-10)


def value(trees):
    models = models_of(DPO(), small().double())
    forest = prepared(DPO(), models, trees)
    forest.put("reference_logps", forest.sum_tokens(forest.lengths.double()[forest.completion_of]), level="completion")
    return float(DPO().loss(models, forest).terms["loss"].total.detach())


def test_learns_to_prefer_the_chosen_token():
    prompts = [[1, 5 + n] for n in range(6)]
    index = {"chosen": Field([0], index="completion"), "rejected": Field([1], index="completion")}
    trees = [Tree.of([branch(prompt, [30]), branch(prompt, [31])], **index, weight=1.0) for prompt in prompts]
    model = small()
    models = models_of(DPO(), model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    reports = [optimize(DPO(), models, prepared(DPO(), models, trees), optimizer) for _ in range(20)]
    assert reports[0]["accuracy"] == 0.0 and reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.4
    assert reports[-1]["chosen_reward"] > 0.1 > -0.1 > reports[-1]["rejected_reward"]


def render():
    return Renderer(chat_tokenizer())


def test_a_pair_is_its_prompt_and_two_completions():
    tree = DPO().plant({"prompt": "Why?", "chosen": "So.", "rejected": "No", "weight": 2}, render())
    chosen, rejected = (render().decode(b.ids[b.mask]) for b in tree.branches)
    assert (chosen, rejected) == ("So.", "No")
    assert [tree.fields[name].values for name in ("chosen", "rejected", "weight")] == [[0], [1], 2.0]
    assert render().decode(tree.branches[0].ids[~tree.branches[0].mask]).endswith("Why?\nassistant\n")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt": "a", "chosen": "b"}, "missing 'rejected'; objectives/dpo needs prompt, chosen, rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "chosen and rejected are identical"),
    ],
)
def test_a_row_that_is_no_pair_is_refused(row, sentence):
    with pytest.raises(RowError, match=sentence):
        DPO().plant(row, render())


@pytest.mark.parametrize(
    "options", [{"beta": 0.0}, {"beta": -1.0}, {"label_smoothing": 0.5}, {"label_smoothing": -0.1}]
)
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match="beta must be above 0 and label_smoothing"):
        DPO(**options)
