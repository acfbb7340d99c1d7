"""Two evaluations: gained, lost, or cannot say."""

import copy

import pytest

from espalier.errors import RunError
from espalier.evaluation.compare import compare
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.results import Evaluation
from espalier.models.roles import Role
from espalier.render import Renderer
from tests.evaluation.tiny import PAIRS, RENDERER, SAID, tiny_role
from tests.tokenizers import byte_tokenizer


@pytest.fixture(scope="module")
def model() -> Role:
    return tiny_role()


def changed(before: Evaluation, name: str, add: float, rows: int) -> Evaluation:
    """An evaluation with something added to a score of the first rows."""
    after = Evaluation.from_dict(copy.deepcopy(before.to_dict()))
    for example in after.examples[:rows]:
        above, below = example.scores[name]
        example.scores[name] = (above + add, below)
    return after


def test_compare_says_gained_lost_or_cannot_say(model):
    before = evaluate(model, SAID, RENDERER, generate=False)
    words = {}
    for label, add, rows in (("worse", 3.0, 12), ("better", -3.0, 12), ("same", 0.0, 0)):
        words[label] = {c.measure: c.word for c in compare(before, changed(before, "perplexity", add, rows))}
    assert [words[label]["perplexity"] for label in ("worse", "better", "same")] == ["lost", "gained", "cannot say"]
    assert words["worse"]["bits_per_byte"] == "cannot say"


def test_compare_of_shares_needs_more_than_a_few_rows(model):
    before = evaluate(model, PAIRS, RENDERER, generate=False)
    none = changed(before, "logp_accuracy", -1.0, 12)
    words = [
        next(c for c in compare(none, changed(none, "logp_accuracy", 1.0, rows)) if c.measure == "logp_accuracy").word
        for rows in (2, 8)
    ]
    assert words == ["cannot say", "gained"]


def test_compare_from_ties_measures_half_steps(model):
    ties = evaluate(model, PAIRS, RENDERER, reference=model, generate=False)
    found = next(
        c for c in compare(ties, changed(ties, "reward_accuracy", 0.5, 12), seed=1) if c.measure == "reward_accuracy"
    )
    assert (found.before, found.after, found.difference, found.word) == (0.5, 1.0, 0.5, "gained")
    assert 0 < found.low < 0.5 <= found.high


def test_compare_pairs_rows_whatever_their_order_and_number(model):
    before, after = evaluate(model, SAID, RENDERER, generate=False), evaluate(tiny_role(1), SAID[::-1][:11], RENDERER)
    found = {change.measure: change for change in compare(before, after)}
    assert found["perplexity"].n == 11
    some = evaluate(model, SAID[1:], RENDERER, generate=False)
    assert found["perplexity"].before == pytest.approx(some.metrics["perplexity"].value, rel=1e-6)
    assert found["perplexity"].after == pytest.approx(after.metrics["perplexity"].value, rel=1e-12)
    assert "length" not in found  # neither longer nor shorter is better


def test_compare_refuses_other_rows_and_other_tokenizers(model):
    before = evaluate(model, SAID, RENDERER, generate=False)
    with pytest.raises(RunError, match="no row in common"):
        compare(before, evaluate(model, PAIRS, RENDERER, generate=False))
    other = Renderer(byte_tokenizer(bos=False), template="plain")
    names = {change.measure for change in compare(before, evaluate(model, SAID, other, generate=False))}
    assert names == {"bits_per_byte"}
