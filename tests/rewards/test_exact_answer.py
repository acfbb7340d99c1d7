"""The exact answer: found in the forms in which replies end, numbers by value, other answers as they are compared."""

import pytest

from espalier.contracts import Row, Scorer
from espalier.errors import RowError
from espalier.rewards.exact_answer import ExactAnswer, final_answer, number, right


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("3 + 4 = 7\nAnswer: 7", "7"),
        ("Answer: 3\nNo.\nAnswer: 4", "4"),
        ("First 3+4=7.\n#### 7", "7"),
        (r"so \boxed{12} and \boxed{13}", "13"),
        ("The answer is 42.", "42."),
        ("I think the answer is Paris", "Paris"),
        (" 5 ", "5"),
    ],
)
def test_formula_final_answer(reply, answer):
    assert final_answer(reply) == answer


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("7.0", 7), ("-7", -7), ("\u22127", -7), ("$1,200.50", 1200.5), ("42.", 42), ("42 apples", 42),
        ("50 %", 50), (".5", 0.5), ("3 or 4", None), ("5-3", None), ("none", None), ("", None), ("a1b", None),
    ],
)  # fmt: skip
def test_formula_number(text, value):
    assert (number(text) is None) if value is None else float(number(text)) == value


@pytest.mark.parametrize(
    ("answer", "accepted", "is_right"),
    [
        ("7.00", ["7"], True),
        ("1,200", ["1200"], True),
        ("35", ["3.5"], False),  # which a comparison of letters would accept
        ("5", ["-5"], False),
        ("42 apples.", ["42"], True),
        ("42 or 43", ["42"], False),
        ("the Eiffel Tower!", ["Eiffel tower"], True),
        ("Rome", ["Paris", "Rome"], True),
        ("7", ["seven", "7"], True),
        ("", ["7"], False),
    ],
)
def test_formula_right(answer, accepted, is_right):
    assert right(answer, accepted) == float(is_right)


def test_rows_are_scored_by_the_answers_they_bring():
    scorer: Scorer = ExactAnswer()
    thinking = [{"role": "assistant", "content": "<think>Answer: 8</think>Answer: 7"}]
    rows = [
        Row(completion=thinking, answer=7),
        Row(completion="Answer: 8", answers=["7"]),
        Row(completion="", answer="7"),
    ]
    assert scorer.score(rows).values == (1.0, 0.0, 0.0)
    with pytest.raises(RowError, match="row 3: neither 'answers' nor 'answer'"):
        scorer.score([Row({"completion": "7"}, "row 3")])
