"""Unlikelihood training: the equation, exact where a probability is nearly 1, and that it unlearns."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.unlikelihood import Unlikelihood, itself, repeats, unlikelihood_loss
from espalier.render import Renderer
from espalier.train.step import optimize
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree
from tests.tokenizers import chat_tokenizer
from tests.train.rated import both, rated
from tests.train.toys import Kept, branch, here, models_of, prepared, small

EXACT = {"rtol": 1e-12, "atol": 0.0}
HALVES = [0.5, 0.25, 0.125, 0.125]


def numbers(values):
    return tensor(values, dtype=torch.float64)


def logits(*rows):
    return torch.stack([tensor([math.log(p) for p in row], dtype=torch.float64) for row in rows])


def test_formula_unlikelihood():
    # -log(1 - 1/2) - log(1 - 1/8), -log(1 - 1/4), and nothing to push down
    negatives = tensor([[True, False, False, True], [False, True, False, False], [False] * 4])
    expected = [math.log(2) + math.log(8 / 7), math.log(4 / 3), 0.0]
    assert_close(unlikelihood_loss(logits(HALVES, HALVES, HALVES), negatives), numbers(expected), **EXACT)


def test_formula_the_gradient_is_the_probability_times_its_odds():
    # d -log(1 - p_c) / d z_c = p_c, and for another token v: -p_c p_v / (1 - p_c)
    z = logits(HALVES).requires_grad_()
    unlikelihood_loss(z, tensor([[False, True, False, False]])).sum().backward()
    expected = [-0.25 * p / 0.75 for p in HALVES]
    expected[1] = 0.25
    assert_close(z.grad, numbers([expected]), **EXACT)


def test_property_exact_where_the_unwanted_token_is_certain():
    z = tensor([[60.0, 0.0, 0.0]], requires_grad=True)  # float32; log(1 - p) by itself would be log 0
    loss = unlikelihood_loss(z, tensor([[True, False, False]]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(60 - math.log(2), rel=1e-6)
    assert_close(z.grad, tensor([[1.0, -0.5, -0.5]]))


def test_formula_negatives_are_what_came_before_but_the_target_or_the_target():
    seen = tensor([[True, True, False, False], [False] * 4])
    found = repeats(logits(HALVES, HALVES), tensor([1, 0]), seen)
    assert_close(found, numbers([math.log(2), 0.0]), **EXACT)
    found = itself(logits(HALVES, HALVES), tensor([1, 0]))
    assert_close(found, numbers([math.log(4 / 3), math.log(2)]), **EXACT)


def terms_by_hand(model, path):
    """Log-likelihood, repetition and unlikelihood of a path's counted tokens by the model's own forward, in full."""
    ids = torch.from_numpy(path.ids).long()
    p = model(ids[None]).logits[0].softmax(-1)
    sums = [0.0, 0.0, 0.0]
    for at in path.counted:
        sums[0] = sums[0] - p[at - 1, ids[at]].log()
        for token in {*ids[:at].tolist()} - {int(ids[at])}:
            sums[1] = sums[1] - torch.log1p(-p[at - 1, token])
        sums[2] = sums[2] - torch.log1p(-p[at - 1, ids[at]])
    return sums


@pytest.mark.parametrize("max_tokens", [None, 20])
def test_equals_the_paper_written_out_and_its_gradient(max_tokens):
    trees = [rated(1, weight=2.0), rated(2), rated(3), both(4)]
    labels = [True, True, False, True, False]
    model, other = small().double(), small().double()
    objective = Unlikelihood(alpha=0.5, disliked_weight=0.25)
    models = models_of(objective, model)
    forest = prepared(objective, models, trees)
    keeper = Kept(model)
    report = optimize(objective, models, forest, keeper, max_tokens=max_tokens, max_norm=0.0)
    totals, counts = [0.0, 0.0, 0.0], [0.0, 0.0]
    for path, label, weight in zip(forest.paths, labels, [2.0, 1.0, 1.0, 1.0, 1.0], strict=True):
        found = terms_by_hand(other, path)
        for i in (0, 1) if label else (2,):
            totals[i] = totals[i] + weight * found[i]
        counts[not label] += weight * len(path.counted)
    expected = totals[0] / counts[0] + 0.5 * totals[1] / counts[0] + 0.25 * totals[2] / counts[1]
    expected.backward()
    assert report["loss"] == pytest.approx(float(expected.detach()), rel=1e-10)
    assert report["repetition"] == pytest.approx(float(0.5 * totals[1].detach() / counts[0]), rel=1e-10)
    gradient = torch.cat([p.grad.reshape(-1) for p in other.parameters()])
    assert_close(keeper.gradient, gradient, rtol=1e-8, atol=1e-12)


def test_property_held_back_rows_are_measured_alike_in_pieces_and_at_once():
    objective, model = Unlikelihood(), small().double()
    trees = [rated(n) for n in range(5)]
    found = []
    for budget in (None, 15):
        models = models_of(objective, model)
        models.policy.max_tokens = budget
        forest = prepared(objective, models, trees)
        with torch.no_grad():
            found.append({name: float(term.total) for name, term in objective.loss(models, forest).terms.items()})
    assert found[0] == pytest.approx(found[1], rel=1e-10)


def test_property_without_alpha_liked_rows_are_plain_likelihood():
    model = small()
    models = models_of(Unlikelihood(), model)
    forest = Unlikelihood(alpha=0).prepare([rated(1), rated(2)], models, here())
    loss = Unlikelihood(alpha=0).loss(models, forest)
    logps = models.policy.token_logps(Forest.plant(forest.trees))
    assert_close(loss.terms["likelihood"].total, -logps.sum())
    assert [loss.terms[name].total.item() for name in ("repetition", "disliked")] == [0.0, 0.0]


def rate(objective, rows):
    """How likely token 20 is beside token 21 after training on (prompt, answer, label) of four prompts."""
    trees = [
        Tree.of([branch([*prompt, 5 + n], [answer])], label=Field([label], "completion"), weight=1.0)
        for n in range(4)
        for prompt, answer, label in rows
    ]
    model = small()
    models = models_of(objective, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(25):
        optimize(objective, models, prepared(objective, models, trees), optimizer)
    p = model(tensor([[*rows[0][0], 5]])).logits[0, -1].softmax(-1).detach()
    assert float(p[20] + p[21]) > 0.8
    return float(p[20] / (p[20] + p[21]))


def test_learns_to_say_less_of_what_is_disliked():
    rows = [([1], 20, True), ([1], 21, True), ([1], 20, False)]
    assert rate(Unlikelihood(alpha=0.0, disliked_weight=0.0), rows) == pytest.approx(0.5, abs=0.1)
    assert rate(Unlikelihood(alpha=0.0), rows) < 0.4


def test_learns_to_repeat_less():
    rows = [([1, 20], 20, True), ([1, 20], 21, True)]
    assert rate(Unlikelihood(alpha=0.0), rows) == pytest.approx(0.5, abs=0.1)
    assert rate(Unlikelihood(alpha=1.0), rows) < 0.4


def test_a_row_without_a_label_is_liked():
    tree = Unlikelihood().plant({"prompt": "Why?", "completion": "So."}, Renderer(chat_tokenizer()))
    assert tree.fields["label"].values == [True]


def test_options_outside_of_the_formula_are_refused():
    with pytest.raises(RecipeError, match="alpha and disliked_weight must be 0 or more"):
        Unlikelihood(alpha=-1.0)
