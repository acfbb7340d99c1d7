"""What detectors share: rows and labels that are checked, replies that are read, shares of what is supported."""

import json
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.hallucinations import Found, Span, SupportScorer, found_in, kind_of, labeled, said, share_supported

TEXT = "Born in Ruvan, died in Ruvan."


@pytest.mark.parametrize(
    ("reply", "spans"),
    [
        ('{"conflict": ["Ruvan"], "baseless": []}', [Span(8, 13, "conflict")]),
        ('{"baseless info": ["Ruvan", "Ruvan", "Ruvan"]}', [Span(8, 13, "baseless"), Span(23, 28, "baseless")]),
        ('It is {"x": 1}:\n```json\n{"hallucination list": ["died in Ruvan."]}\n```', [Span(15, 29)]),
        ('{"conflict": ["Born"]} no: {"conflict": [{"text": "died"}]}', [Span(15, 19, "conflict")]),
        ('<think>{"conflict": ["Born"]}</think>{"conflict": [], "baseless": []}', []),
        ('["died"]', [Span(15, 19)]),
        ("[]", []),
    ],
)
def test_formula_the_parts_that_a_reply_names(reply, spans):
    found = found_in(reply, TEXT)
    assert list(found.spans) == spans and found.score is not None and found.lost == ()


@pytest.mark.parametrize(
    "reply",
    ["", "No.", "{}", '{"x": []}', '{"conflict": "Ruvan"}', '{"conflict": ["Ruvan"], "base', "<think>[]", "[" * 9],
)
def test_a_reply_without_a_list_is_no_answer(reply):
    assert found_in(reply, TEXT) == Found(reason="no list of parts in the reply")


def test_what_does_not_stand_in_the_completion_is_counted():
    found = found_in('{"conflict": ["ruvan", "Ruv", 3, "Born"]}', TEXT)
    assert found.spans == (Span(0, 4, "conflict"),) and found.lost == ("ruvan", "Ruv", "3")
    none = found_in('{"conflict": ["Kastel"]}', TEXT)
    assert none.score is None and none.lost == ("Kastel",) and "stands in the completion" in none.reason


@given(st.text(max_size=40), st.text(max_size=20))
def test_property_any_reply_is_read(reply, completion):
    found = found_in(reply, completion)
    assert found.score is None or all(0 <= span.start < span.end <= len(completion) for span in found.spans)


def test_formula_share_supported():
    assert share_supported("ab cd", [Span(1, 4)]) == 2 / 4
    assert share_supported("ab", [Span(0, 2), Span(0, 1)]) == 0 and share_supported("", []) == 1


def test_labels_are_checked_and_have_a_kind():
    labels = [
        {"start": 8, "end": 13, "label_type": "Subtle Baseless Info"},
        {"start": 0, "end": 4, "implicit_true": True},
    ]
    row = Row(completion=TEXT, labels=labels)
    assert labeled(row) == [(Span(8, 13, "baseless"), "Subtle Baseless Info"), (Span(0, 4), "")]
    assert len(labeled(row, implicit_true=False)) == 1 and kind_of("Evident Conflict") == "conflict"
    for wrong in ({"start": 4, "end": 4}, {"start": 0, "end": 99}, {"end": 3}):
        with pytest.raises(RowError, match=r"x, row 1: a label from .* does not lie in its completion"):
            labeled(Row({"completion": TEXT, "labels": [wrong]}, "x, row 1"))
    with pytest.raises(RowError, match="'labels' is missing"):
        labeled(Row(completion=TEXT))


def test_passages_are_texts_or_objects():
    row = Row(completion=TEXT, passages=["A.", {"text": "B.", "title": "T"}])
    assert said(row) == (TEXT, [("", "A."), ("T", "B.")])
    for wrong in (Row(completion="x"), Row(passages=["x"]), Row(completion="x", passages="x")):
        with pytest.raises(RowError, match="needs 'completion' and a list of 'passages'"):
            said(wrong)
    with pytest.raises(RowError, match="a passage is a text"):
        said(Row(completion="x", passages=[3]))


def test_a_detector_is_a_scorer():
    class One(SupportScorer):
        def detect(self, rows):
            return [Found((), 0.5), Found(reason="why")]

    assert One().score([Row(), Row()]) == Scores((0.5, None), ("", "why"))


@pytest.mark.data
def test_most_spans_that_people_have_copied_are_found():
    folder = os.environ.get("ESPALIER_DATA")
    if not folder:
        pytest.skip("ESPALIER_DATA is not set")
    with lzma.open(Path(folder) / "judges" / "halueval_general.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [found_in(json.dumps(row["hallucination_spans"]), row["chatgpt_response"]) for row in rows]
    named = sum(len(row["hallucination_spans"]) for row in rows)
    assert named == 941 and sum(len(one.lost) for one in found) < 0.13 * named  # the others are comments, or cut
