import pytest

from espalier.contracts import Row, Scores
from espalier.curating import Candidate, Curated, EachRow, carried, given, prompted, sampled, scored
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


def test_what_answers_a_prompt_is_not_carried_over():
    row = Row(
        prompt="p", chosen="a", rejected="b", completion="c", completions=[], scores=[], ranks=[], label=True, n=1
    )
    assert carried(row) == {"prompt": "p", "n": 1} and carried(Row(label="sport")) == {"label": "sport"}


def test_messages_ask_up_to_the_last_turn_of_the_model():
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    answered = Row({"messages": [*talk, {"role": "assistant", "content": "d"}], "n": 1}, "row 1")
    assert prompted(answered) == {"prompt": talk, "n": 1} and prompted(answered).where == "row 1"
    assert prompted(Row(messages=talk))["prompt"] == talk
    assert prompted(Row(prompt="p", messages=talk))["prompt"] == "p" and "prompt" not in prompted(Row(text="t"))


def test_a_curator_of_each_row_may_finish_what_came_of_all():
    class Numbered(EachRow):
        def each(self, row):
            yield row if row["n"] != 1 else Dropped("row 1", "odd")

        def finish(self, found):
            return reversed(list(found))

    found = Numbered().curate(Row(n=n) for n in range(3))
    assert [row["n"] for row in found] == [2, 0] and len(found.dropped) == 1 and Numbered().told([]) == []
