import pytest

from espalier.contracts import Row, Scores
from espalier.curating import Candidate, Curated, given, sampled, scored
from espalier.errors import RowError
from espalier.lm.scripted import Scripted
from espalier.rows import Dropped


class Fixed:
    def __init__(self, *values):
        self.values = values

    def score(self, rows):
        return Scores(self.values)


def test_rows_come_lazily_and_what_is_left_out_is_kept_apart():
    read = []

    def found():
        for number in range(3):
            read.append(number)
            yield Dropped(f"row {number}", "odd") if number % 2 else Row(number=number)

    curated = Curated(found())
    assert next(curated) == {"number": 0} and read == [0] and not curated.dropped
    assert list(curated) == [{"number": 2}] and [lost.where for lost in curated.dropped] == ["row 1"]


def test_a_missing_score_is_not_zero():
    row = Row(prompt="p", completions=["a", "b", "c"], scores=[None, float("nan"), 0])
    assert [one.score for one in given(row)] == [None, None, 0.0]
    assert [one.score for one in scored(row, Fixed(1, None, True))] == [1.0, None, 1.0]


def test_candidates_are_texts_or_messages():
    said = [{"role": "assistant", "content": "a"}]
    assert Candidate("a", 1.0).text == Candidate(said, 1.0).text == "a"


def test_a_row_that_cannot_be_asked_or_scored():
    with pytest.raises(RowError, match="missing 'prompt'"):
        sampled(Row(question="q"), Scripted("a"), Fixed(1), options={})
    with pytest.raises(RowError, match="'completions' must be a list"):
        scored(Row(prompt="p", completions="a"), Fixed(1))
