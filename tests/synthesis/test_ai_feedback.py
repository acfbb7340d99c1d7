"""Answers of several models in turns, scored by a judge; what cannot be compared is left out and counted."""

import pytest

from espalier.contracts import Row, Sample, Scores
from espalier.errors import RecipeError, RowError
from espalier.lm.scripted import Scripted
from espalier.synthesis.ai_feedback import AIFeedback


class Length:
    """Longer is better; of what has a question mark it cannot say."""

    def score(self, rows):
        self.rows = list(rows)
        return Scores(tuple(None if "?" in row["completion"] else float(len(row["completion"])) for row in rows))


def model(name, *said):
    lm = Scripted(*said)
    lm.name = name
    return lm


def test_models_take_turns_and_the_judge_sees_all_answers_as_one_group():
    scorer = Length()
    lms = (model("one", "a", "aa"), model("two", "b", "bbb?"))
    [row] = AIFeedback(lms, scorer, max_tokens=7).curate([Row(prompt="p", chosen="x", rejected="y", task="t")])
    by_model = dict(zip(row["completions"], row["models"], strict=True))
    assert by_model == {"a": "one", "aa": "one", "b": "two", "bbb?": "two"}
    assert dict(zip(row["completions"], row["scores"], strict=True)) == {"a": 1.0, "aa": 2.0, "b": 1.0, "bbb?": None}
    assert row.keys() == {"prompt", "task", "completions", "models", "scores"}
    assert len({seen["group"] for seen in scorer.rows}) == 1 and [call.n for call in lms[0].calls] == [2]


def test_which_models_answer_is_drawn_for_each_prompt_and_the_same_each_time():
    def asked(seed):
        lms = [model(str(n), lambda prompt, n=n: f"{prompt} {n}") for n in range(4)]
        return [
            row["models"]
            for row in AIFeedback(tuple(lms), n=2, seed=seed).curate(Row(prompt=f"p{n}") for n in range(20))
        ]

    assert asked(0) == asked(0) != asked(1)
    assert {name for names in asked(0) for name in names} == set("0123") and all(len(set(n)) == 2 for n in asked(0))


def test_the_two_halves_may_be_two_steps():
    [answered] = AIFeedback((model("m", "a", "bb"),), n=2).curate([Row(prompt="p")])
    assert answered == {"prompt": "p", "completions": ["a", "bb"], "models": ["m", "m"]}
    [scored] = AIFeedback(scorer=Length()).curate([answered])
    assert scored == {**answered, "scores": [1.0, 2.0]}


def test_what_cannot_be_compared_is_counted():
    class Cut(Scripted):
        def sample(self, prompts, **options):
            return [[Sample("a", ended=False), Sample("b"), Sample("b"), Sample(" "), Sample("c")]]

    found = AIFeedback((Cut(),), n=5).curate([Row({"prompt": "p"}, "row 1")])
    assert [row["completions"] for row in found] == [["b", "c"]]
    assert [(lost.where, lost.reason) for lost in found.dropped] == [
        ("row 1, answer 1", "cut off by max_tokens"),
        ("row 1, answer 3", "equal to another answer"),
        ("row 1, answer 4", "an empty answer"),
    ]
    few = AIFeedback(scorer=Length()).curate(
        [Row(prompt="p", completions=["a", "b?"]), Row(prompt="p", completions=["a"])]
    )
    assert not list(few)
    assert [lost.reason for lost in few.dropped] == ["fewer than two answers have a score", "fewer than two answers"]


def test_what_cannot_be():
    with pytest.raises(RecipeError, match="at least 2"):
        AIFeedback(n=1)
    with pytest.raises(RecipeError, match="a scorer, or both"):
        list(AIFeedback().curate([Row(prompt="p")]))
    with pytest.raises(RowError, match="'completions' must be a list of texts"):
        list(AIFeedback(scorer=Length()).curate([Row(prompt="p")]))
    with pytest.raises(RowError, match="missing 'prompt'"):
        list(AIFeedback((Scripted(),)).curate([Row(question="p")]))
