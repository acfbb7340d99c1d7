"""Supervised fine-tuning: the cross-entropy of the tokens that count, and of no others."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RowError
from espalier.objectives.sft import SFT, sft_loss
from espalier.render import Renderer
from espalier.train.step import optimize
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from tests.tokenizers import chat_tokenizer
from tests.train.toys import Kept, branch, models_of, prepared, single, small


def test_formula_sft():
    logps = torch.tensor([math.log(0.5), math.log(0.125)], dtype=torch.float64)
    expected = torch.tensor([math.log(2), math.log(8)], dtype=torch.float64)
    assert_close(sft_loss(logps), expected, rtol=1e-12, atol=0)


def by_hand(model, trees):
    """Mean cross-entropy over the counted tokens by the model's own forward, one row at a time, weighted."""
    total, count = torch.zeros((), dtype=torch.float64), 0.0
    for tree in trees:
        weight = tree.fields["weight"].values
        for path in tree.branches:
            ids = torch.from_numpy(path.ids).long()
            logits = model(ids[None]).logits[0, :-1]
            losses = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
            mask = torch.from_numpy(path.mask[1:])
            total = total + weight * losses[mask].sum()
            count += weight * int(mask.sum())
    return total / count


def test_equals_a_masked_cross_entropy_and_its_gradient():
    trees = [single(seed, weight=weight) for seed, weight in enumerate([1.0, 0.25, 2.0, 1.0])]
    model, other = small().double(), small().double()
    keeper = Kept(model)
    models = models_of(SFT(), model)
    report = optimize(SFT(), models, prepared(SFT(), models, trees), keeper, max_tokens=30, max_norm=0.0)
    expected = by_hand(other, trees)
    expected.backward()
    assert report["loss"] == pytest.approx(float(expected.detach()), rel=1e-10)
    assert_close(keeper.gradient, torch.cat([p.grad.reshape(-1) for p in other.parameters()]), rtol=1e-8, atol=1e-12)


def test_property_packed_rows_are_rows_by_themselves():
    models = models_of(SFT(), small().double())
    trees = [single(seed) for seed in range(5)]
    together = models.policy.token_logps(Forest.plant(trees))
    alone = torch.cat([models.policy.token_logps(Forest.plant([tree])) for tree in trees])
    assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_property_tokens_that_do_not_count_have_exactly_no_loss():
    """The prompt's own prediction moves nothing: only what the targets see of it does."""
    model = small().double()
    models = models_of(SFT(), model)
    ids = [1, 7, 8, 9, 10]
    trees = [Tree.of([Branch(branch(ids, []).ids, mask([False, False, False, True, False]))], weight=1.0)]
    keeper = Kept(model)
    optimize(SFT(), models, prepared(SFT(), models, trees), keeper, max_norm=0.0)
    one = keeper.gradient
    shorter = [Tree.of([Branch(branch(ids[:4], []).ids, mask([False, False, False, True]))], weight=1.0)]
    optimize(SFT(), models, prepared(SFT(), models, shorter), keeper, max_norm=0.0)
    assert_close(one, keeper.gradient, rtol=1e-10, atol=1e-14)
    embedding = one[: model.get_input_embeddings().weight.numel()].view_as(model.get_input_embeddings().weight)
    assert embedding[8].any() and not embedding[9].any() and not embedding[10].any()


def mask(values):
    import numpy as np

    return np.array(values)


def test_learns_one_answer_by_heart():
    trees = [Tree.of([branch([1, 5], [20, 21, 22])], weight=1.0), Tree.of([branch([1, 6], [30, 31])], weight=1.0)]
    model = small()
    models = models_of(SFT(), model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    losses = [optimize(SFT(), models, prepared(SFT(), models, trees), optimizer)["loss"] for _ in range(40)]
    assert losses[0] > 3 and losses[-1] < 0.2
    assert model(torch.tensor([[1, 5]])).logits[0, -1].argmax() == 20


TURNS = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "Ciao"},
]


@pytest.mark.parametrize(
    ("row", "targets"),
    [
        ({"prompt": "Why?", "completion": "So."}, ["So.<|im_end|>"]),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, ["So.<|im_end|>"]),
        ({"prompt": TURNS[:1], "completion": "Hello"}, ["Hello<|im_end|>"]),
        ({"messages": TURNS}, ["Hello<|im_end|>Ciao<|im_end|>"]),
        ({"text": "Once."}, ["Once.</s>"]),
    ],
)
def test_rows_of_every_kind_train_the_answers(row, targets):
    render = Renderer(chat_tokenizer())
    tree = SFT().plant(row, render)
    assert [render.decode(path.ids[path.mask], keep_special=True) for path in tree.branches] == targets
    assert tree.fields["weight"].values == 1.0
    assert SFT().plant({**row, "weight": 0.5}, render).fields["weight"].values == 0.5


def test_a_row_without_an_answer_is_refused():
    with pytest.raises(RowError, match="objectives/sft needs prompt and completion, messages, or text"):
        SFT().plant({"prompt": "Why?"}, Renderer(chat_tokenizer()))
