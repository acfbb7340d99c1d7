"""Rows for a filter of contexts and its reader: each oracle, and what the rows are."""

import math

import pytest

from espalier import filtering, reading
from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError, RowError
from espalier.lm.scripted import Scripted
from espalier.synthesis.filtered_contexts import FilteredContexts

PASSAGES = [
    {"title": "Belmi", "text": "Belmi wrote operas. Belmi was born in Kastel. He sang because of us."},
    "It lies in Ostria.",
]
ROW = Row(question="Where was Belmi born?", answers=["Kastell", "Kastel"], passages=PASSAGES, where="q.jsonl, row 1")


def made(row=ROW, **options):
    return list(FilteredContexts(**options).curate([row]))


def test_a_row_for_the_filter_is_what_the_strategy_asks_and_reads():
    (row,) = made(tasks="filter")
    lines = row["prompt"].splitlines()
    assert lines[0] == filtering.INSTRUCTION and lines[1:3] == ["[1] Belmi", "[1a] Belmi wrote operas."]
    assert row["completion"] == "[1b] Belmi was born in Kastel." and row["task"] == "filter"
    assert row.where == ROW.where and row["answers"] == ["Kastell", "Kastel"]


def test_a_row_for_the_reader_shows_what_is_kept_and_quotes_it():
    (row,) = made(tasks="answer")
    assert row["prompt"].splitlines() == [
        reading.INSTRUCTION, "[1] Belmi", "[1a] Belmi was born in Kastel.", "Question: Where was Belmi born?"
    ]  # fmt: skip
    assert row["completion"] == "Quote: [1a] Belmi was born in Kastel.\nAnswer: Kastell"
    assert row["has_answer"] is True and row["kept"] == pytest.approx(25 / (len(PASSAGES[0]["text"]) + 18), abs=1e-4)


def test_the_lexical_oracle_keeps_sentences_that_share_the_answers_words():
    row = Row(ROW, answers=["x", "he wrote operas"])  # F1 with "Belmi wrote operas." is 2/3
    (found,) = made(row, oracle="lexical", tasks="filter")
    assert found["completion"] == "[1a] Belmi wrote operas."
    (found,) = made(row, oracle="lexical", overlap=0.7, tasks="filter")
    assert found["completion"] == "none"


def test_cxmi_keeps_what_makes_any_of_the_answers_likelier():
    def logprob(prompt, completion):
        likelier = completion == "Kastel" and "born in Kastel" in prompt
        return -2000.0 + 3 * likelier - ("operas" in prompt)  # as probabilities, all of these are 0

    lm = Scripted(logprob=logprob)
    (row,) = made(lm=lm, oracle="cxmi", tasks="filter")
    assert row["completion"] == "[1b] Belmi was born in Kastel."
    gain = math.log((math.exp(3) + 1) / 2)
    for bound, kept in ((gain - 0.01, "[1b] Belmi was born in Kastel."), (gain + 0.01, "none")):
        assert made(lm=lm, oracle="cxmi", tasks="filter", gain=bound)[0]["completion"] == kept


def test_where_no_sentence_helps_the_reader_gets_the_passages_whole():
    first, second = made(Row(ROW, answers=["Paris"]))
    assert first["completion"] == "none" and second["completion"] == "Answer: Paris"
    assert "operas" in second["prompt"] and second["kept"] == 1.0 and second["has_answer"] is False


def test_it_tells_how_much_is_left():
    built = FilteredContexts()
    rows = list(built.curate([ROW, Row(ROW, answers=["Paris"])]))
    assert built.told(rows) == ["The filter keeps 65% of the passages; an answer stands in 50% of what it keeps."]
    assert built.told([]) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"answers": []}, "no answer"), ({"answerable": False}, "no answer"), ({"passages": []}, "no passages")],
)
def test_rows_that_tell_nothing_are_left_out(changes, reason):
    found = FilteredContexts().curate([Row(ROW, **changes)])
    assert list(found) == [] and [one.reason for one in found.dropped] == [reason]


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="cxmi asks a model"):
        FilteredContexts(oracle="cxmi")
    with pytest.raises(ModelError, match="oracle=string"):
        made(lm=Scripted(), oracle="cxmi")
    with pytest.raises(RowError, match="row 1: a passage"):
        made(Row({**ROW, "passages": [{"title": "x"}]}, ROW.where))
    with pytest.raises(RowError, match="missing 'question'"):
        made(Row(answers=["a"], passages=["b"]))
