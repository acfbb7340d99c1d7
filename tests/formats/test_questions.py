"""Questions with answers, in the spellings they come in."""

import pytest

from espalier.formats.fields import Malformed
from espalier.formats.questions import convert, detect
from espalier.rows import kind, read


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        ({"answers": ["a", "b"]}, ["a", "b"]),
        ({"answer": "a"}, ["a"]),
        ({"answers": "a"}, ["a"]),
        ({"answers": [1988, "88"]}, ["1988", "88"]),
        ({"answers": {"text": ["a"], "answer_start": [3]}}, ["a"]),
        ({"answers": []}, []),
        ({"answers": {"text": [], "answer_start": []}}, []),
        ({"answerable": False}, []),
        ({"answerable": False, "answers": ["plausible"]}, []),
    ],
)
def test_answers_are_a_list_of_texts(row, answers):
    assert detect({"question": "q?"} | row)
    assert convert({"question": "q?"} | row) == {"question": "q?", "answers": answers}


def test_squads_context_is_a_passage_that_holds_the_answer():
    row = {"question": "q?", "title": "T", "context": "c", "answers": {"text": ["c"]}}
    assert convert(row)["passages"] == [{"text": "c", "title": "T"}] and convert(row)["gold"] == [0]
    assert convert(row | {"answers": {"text": []}})["gold"] == []
    assert "gold" not in convert(row | {"passages": []})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": " ", "answers": []}, "'question' is empty"),
        ({"question": ["q"], "answers": []}, "'question' is not text"),
        ({"question": "q"}, "missing 'answers'"),
        ({"question": "q", "answers": [None]}, "not a list of texts"),
        ({"question": "q", "answers": True}, "not a list of texts"),
        ({"question": "q", "answers": [], "answerable": True}, "answerable without answers"),
        ({"question": "q", "answers": ["a"], "context": 3}, "'context' is not text"),
    ],
)
def test_malformed(row, reason):
    with pytest.raises(Malformed, match=reason):
        convert(row)


def test_a_prompt_or_messages_say_themselves_what_is_asked():
    assert not detect({"question": "q", "answers": ["a"], "prompt": "p"})
    assert not detect({"question": "q"})
    assert kind({"question": "q", "answers": ["a"], "prompt": "p"}) == "prompt"


def test_rows_keep_their_other_columns_and_say_what_they_are():
    given = {"question": "q", "answer": "a", "kind": "yes/no", "text": "t", "passages": [{"text": "p"}], "gold": [0]}
    rows = read([given])
    assert list(rows) == [{name: value for name, value in given.items() if name != "answer"} | {"answers": ["a"]}]
    assert rows.kind == "question" and "questions (question, answer), read as questions with answers" in rows.detected
    (mapped,) = read([{"q": "q", "a": ["a"]}], columns="question=q,answers=a")
    assert mapped == {"question": "q", "answers": ["a"]}
