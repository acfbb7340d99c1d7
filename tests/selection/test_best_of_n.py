import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.catalogue import build, options
from espalier.contracts import Curator, Row, Scores
from espalier.errors import RecipeError, RowError
from espalier.lm.scripted import Scripted
from espalier.rows import kind
from espalier.selection.best_of_n import BestOfN, kl_bound


class Length:
    """Longer answers are better; of one with a question mark it cannot say."""

    def score(self, rows):
        self.rows = list(rows)
        texts = [row["completion"] for row in rows]
        return Scores(tuple(None if "?" in text else float(len(text)) for text in texts))


def best_of(probabilities, rewards, n):
    """The exact distribution of the best of n samples, ties to the first."""
    found = [0.0] * len(probabilities)
    for drawn in itertools.product(range(len(probabilities)), repeat=n):
        found[max(drawn, key=lambda one: rewards[one])] += math.prod(probabilities[one] for one in drawn)
    return found


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def test_formula_kl_bound():
    assert kl_bound(1) == 0.0
    assert kl_bound(4) == pytest.approx(math.log(4) - 3 / 4, rel=1e-12)
    assert kl_bound(64) == pytest.approx(3.174508, abs=1e-6)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(1, 4), st.randoms(use_true_random=False))
def test_property_the_bound_is_never_passed(parts, n, chance):
    probabilities = [part / sum(parts) for part in parts]
    rewards = [chance.randrange(4) for _ in parts]
    assert kl(best_of(probabilities, rewards, n), probabilities) <= kl_bound(n) + 1e-12


def test_property_the_bound_is_met_where_no_two_samples_are_alike():
    gaps = []
    for size in (20, 200):
        exact = [((i + 1) / size) ** 2 - (i / size) ** 2 for i in range(size)]  # best of 2 of size equal answers
        gaps.append(kl_bound(2) - kl(exact, [1 / size] * size))
    assert 0 < gaps[1] < gaps[0] / 5 and gaps[1] < 0.01


def test_formula_the_expected_reward_is_the_order_statistic():
    found = best_of([0.5, 0.3, 0.2], [1.0, 2.0, 4.0], 3)
    below = [0.5, 0.8, 1.0]  # P(reward <= r)
    exact = [b**3 - a**3 for a, b in zip([0.0, *below], below, strict=False)]
    assert found == pytest.approx(exact, rel=1e-12)


def test_the_best_of_the_answers_a_row_brings():
    rows = [
        Row(prompt="p", completions=["a", "b", "c"], scores=[0.1, 0.9, None], task="t"),
        Row({"prompt": "q", "completions": ["a"], "scores": [float("nan")]}, "rows, row 2"),
        Row(prompt="r", completions=["a", "b"], scores=[-1, -1]),
    ]
    found = BestOfN().curate(rows)
    kept = list(found)
    assert kept[0] == {"prompt": "p", "completion": "b", "score": 0.9, "task": "t", "kl_bound": kl_bound(2)}
    assert kept[1]["completion"] == "a" and {kind(row) for row in kept} == {"completion"}
    assert [(lost.where, lost.reason) for lost in found.dropped] == [("rows, row 2", "no answer has a score")]


def test_the_best_against_the_worst():
    rows = [
        Row(prompt="p", completions=["a", "b", "c"], scores=[0.5, 0.9, 0.1], chosen="an old one", rejected="another"),
        Row({"prompt": "q", "completions": ["a", "b"], "scores": [1, 1]}, "row 2"),
    ]
    found = BestOfN(emit="pairs").curate(rows)
    assert [dict(row) for row in found] == [
        {"prompt": "p", "chosen": "b", "rejected": "c", "chosen_score": 0.9, "rejected_score": 0.1}
    ]
    assert [lost.reason for lost in found.dropped] == ["all answers score the same: no pair"]
    assert [kind(row) for row in BestOfN(emit="both").curate(rows)] == ["completion", "preference", "completion"]


def test_a_scorer_sees_every_answer_beside_the_row_as_one_group():
    scorer = Length()
    row = Row({"prompt": "p", "completions": ["aa", "a", "aaaa?"], "answers": ["x"]}, "rows, row 7")
    assert next(BestOfN(scorer=scorer).curate([row]))["completion"] == "aa"
    assert [seen["group"] for seen in scorer.rows] == ["rows, row 7"] * 3
    assert scorer.rows[0]["answers"] == ["x"] and "completions" not in scorer.rows[0]


def test_a_model_is_asked_lazily():
    lm = Scripted("a", "aaa", "aa", "b", "b", "b")
    found = BestOfN(lm=lm, scorer=Length(), n=3, temperature=1.0, max_tokens=9, seed=5).curate(
        [Row(prompt="p"), Row(prompt="q")]
    )
    assert next(found)["completion"] == "aaa" and len(lm.calls) == 1
    call = lm.calls[0]
    assert (call.prompt, call.n, call.temperature, call.max_tokens, call.seed) == ("p", 3, 1.0, 9, 5)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(prompt="p"), "'completions' and 'scores' must be lists"),
        (Row(prompt="p", completions=["a"], scores=[]), "1 completions and 0 scores"),
        (Row(prompt="p", completions=["a"], scores=["good"]), "a score is 'good'"),
    ],
)
def test_rows_without_what_it_needs(row, message):
    with pytest.raises(RowError, match=message):
        list(BestOfN().curate([row]))


def test_options_that_cannot_be():
    with pytest.raises(RecipeError, match="needs a scorer"):
        BestOfN(lm=Scripted())
    assert build(options(BestOfN(n=4))) == BestOfN(n=4) and isinstance(BestOfN(), Curator)
