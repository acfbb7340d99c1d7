"""Two models side by side: who wins on how many prompts, with an interval."""

import pytest

from espalier.contracts import Row, Scores
from espalier.errors import RecipeError
from espalier.judges.pairwise import PairwiseJudge
from espalier.lm.scripted import Scripted
from espalier.synthesis.head_to_head import HeadToHead, win_rate


class Length:
    def __init__(self):
        self.asked = 0

    def score(self, rows):
        self.asked += 1
        return Scores(tuple(None if "?" in row["completion"] else float(len(row["completion"])) for row in rows))


def test_formula_win_rate():
    found = win_rate(6, 2, 2)
    assert found.value == 0.7
    n, p, z = 10, 0.7, 1.959963984540054  # Wilson by hand
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert found.low == pytest.approx((p + z * z / (2 * n)) / (1 + z * z / n) - half, rel=1e-9)
    assert win_rate(2, 6, 2).high == pytest.approx(1 - found.low, rel=1e-9), "exchanged, the interval is mirrored"


def test_who_scores_higher_wins_and_equal_answers_are_a_tie_without_asking():
    scorer = Length()
    lms = Scripted("aaa", "a", "same", "bb", "b?"), Scripted("a", "aaa", "same", "cc", "c")
    duel = HeadToHead(lms, scorer)
    found = duel.curate(Row({"prompt": "p", "completion": "old"}, f"row {n}") for n in range(5))
    made = list(found)
    assert [row["winner"] for row in made] == ["first", "second", "tie", "tie"]
    assert made[0] == {"prompt": "p", "completions": ["aaa", "a"], "scores": [3.0, 1.0], "winner": "first"}
    assert [(lost.where, lost.reason) for lost in found.dropped] == [("row 4", "the scorer could not say")]
    assert scorer.asked == 4 and "scores" not in made[2]
    assert duel.told(made)[0].startswith("the first model against the second model: wins 50.0%, a tie being half a win")
    assert duel.told(made)[1] == "1 won, 1 lost, 2 tied"
    assert all(call.temperature == 0.0 for lm in lms for call in lm.calls)


def test_a_judge_of_pairs_decides_in_both_orders():
    judge = Scripted("[[A]]", "[[B]]", "[[A]]", "[[A]]")
    lms = Scripted("a", "b"), Scripted("c", "d")
    made = HeadToHead(lms, PairwiseJudge(judge)).curate([Row(prompt="p"), Row(prompt="q")])
    assert [(row["winner"], row["scores"]) for row in made] == [("first", [1.0, 0.0]), ("tie", [0.5, 0.5])]


def test_two_models_and_a_scorer_are_needed():
    with pytest.raises(RecipeError, match="two models and a scorer"):
        list(HeadToHead((Scripted(),), Length()).curate([Row(prompt="p")]))
