"""What a row with a question says."""

import pytest

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.questions import (
    Gold,
    Passage,
    accepted,
    gold_of,
    is_question,
    knows_gold,
    language_of,
    passages_of,
    with_passages,
)
from tests.evaluation.asked import BELMI, OTHERS, row


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"answers": ["a", 1988]}, ("a", "1988")),
        ({"answer": "a"}, ("a",)),
        ({"answers": []}, ()),
        ({"answerable": False}, ()),
        ({"answers": ["plausible"], "answerable": False}, ()),
    ],
)
def test_accepted_answers(fields, answers):
    assert is_question(Row(question="q") | fields)
    assert accepted(Row(question="q") | fields) == answers


def test_a_prompt_asks_for_itself_and_a_question_alone_is_not_measured():
    assert not is_question(Row(question="q", answers=["a"], prompt="p"))
    assert not is_question(Row(question="q"))


@pytest.mark.parametrize("gold", [[1], 1, ["belmi"], "belmi"])
def test_gold_is_a_number_or_an_id(gold):
    asked = row(passages=[OTHERS[0]["text"], BELMI], gold=gold)
    assert passages_of(asked) == (
        Passage(OTHERS[0]["text"]),
        Passage(BELMI["text"], BELMI["title"], "belmi", gold=True),
    )
    assert gold_of(asked) == [Gold("belmi", BELMI["text"])]


def test_gold_may_name_a_document_that_is_not_shown():
    asked = row(gold=["people/belmi"], passages=OTHERS)
    assert gold_of(asked) == [Gold("people/belmi")] and knows_gold(asked)
    assert not any(passage.gold for passage in passages_of(asked))
    assert not knows_gold(row(passages=OTHERS)) and gold_of(row(gold=[0], passages=[BELMI])) == [
        Gold("belmi", BELMI["text"])
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"passages": "one"}, "not a list of passages"),
        ({"passages": [{"title": "t"}]}, "a passage without text"),
        ({"passages": [" "]}, "a passage without text"),
        ({"passages": [3]}, "a passage without text"),
        ({"passages": ["p"], "gold": [1]}, "not there"),
        ({"passages": ["p"], "gold": [-1]}, "neither numbers"),
        ({"passages": ["p"], "gold": [True]}, "neither numbers"),
        ({"passages": ["p"], "gold": {"id": 3}}, "neither numbers"),
    ],
)
def test_what_does_not_fit_says_why(fields, reason):
    with pytest.raises(RowError, match=reason):
        passages_of(row(**fields))


def test_other_passages_leave_the_rest_of_the_row_alone():
    asked = row(passages=OTHERS, gold=["belmi"], kind="where", where="q.jsonl, row 3")
    shown = with_passages(asked, [Passage("t"), Passage(BELMI["text"], id="belmi", gold=True)])
    assert shown["passages"] == [{"text": "t"}, {"text": BELMI["text"], "id": "belmi"}]
    assert (shown["gold"], shown["kind"], shown.where) == ([1], "where", "q.jsonl, row 3")
    assert "gold" not in with_passages(row(passages=OTHERS), ())


@pytest.mark.parametrize(
    ("fields", "language"),
    [
        ({"language": "zh-Hans"}, "zh"),
        ({"language": "Korean"}, "en"),
        ({"answers": ["서울"]}, "ko"),
        ({"answers": ["1988"], "question": "언제예요?"}, "ko"),
        ({"answers": ["東京です"]}, "ja"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_rows_own_or_seen_in_it(fields, language):
    assert language_of(row() | fields) == language
