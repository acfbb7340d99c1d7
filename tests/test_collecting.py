"""Rows written down as they are made: stopped, killed or failing, the same again goes on with the next row."""

import json
import threading
from collections import Counter

import pytest

from espalier.collecting import UNUSABLE, Work, collect, write_rows
from espalier.contracts import Row
from espalier.curating import Curated, EachRow
from espalier.errors import ModelError, RowError, RunError
from espalier.lm.failures import RefusedError
from espalier.rows import Dropped

ABOUT = {"method": "a test"}


class Doubling(EachRow):
    """Each number and its double; of odd ones that it is odd. It notes what it is asked, and fails where told."""

    def __init__(self, fail_at=None):
        self.asked, self.fail_at = [], fail_at

    def each(self, row):
        self.asked.append(row["n"])
        if row["n"] == self.fail_at:
            raise ModelError("the server is gone.")
        if row["n"] == 4:
            raise RowError("the prompt is too long.")
        yield Row(row, row.where, double=2 * row["n"])
        if row["n"] % 2:
            yield Dropped(row.where, "odd")

    def finish(self, found):
        return list(found)[::-1]


def rows(count=6):
    return [Row({"n": n}, f"row {n}") for n in range(count)]


def test_what_comes_of_the_rows_in_their_order(tmp_path):
    told = []
    found = collect(Doubling(), rows(), tmp_path / "p", ABOUT, Work(progress=lambda *counts: told.append(counts)))
    assert [row["n"] for row in found.kept] == [5, 3, 2, 1, 0] and found.kept[0].where == "row 5"
    assert found.dropped == [
        Dropped("row 5", "odd"), Dropped("row 4", UNUSABLE, "the prompt is too long."),
        Dropped("row 3", "odd"), Dropped("row 1", "odd"),
    ]  # fmt: skip
    assert told == [(n, 6) for n in range(7)] and found.finished and found.done == 6


def test_a_row_that_a_server_refuses_is_left_out(tmp_path):
    class Refusing(EachRow):
        def each(self, row):
            if row["n"]:
                raise RefusedError("the server refuses the request.")
            yield row

    found = collect(Refusing(), rows(2), tmp_path / "p", ABOUT, Work())
    assert len(found.kept) == 1 and found.dropped == [Dropped("row 1", UNUSABLE, "the server refuses the request.")]


def test_a_stop_loses_nothing_and_the_same_again_goes_on(tmp_path):
    first = Doubling()
    found = collect(first, rows(), tmp_path / "p", ABOUT, Work(stop=lambda: len(first.asked) == 2))
    assert (found.finished, found.done, found.kept) == (False, 2, [])
    again = Doubling()
    assert (
        collect(again, rows(), tmp_path / "p", ABOUT, Work()).kept
        == collect(Doubling(), rows(), tmp_path / "q", ABOUT, Work()).kept
    )
    assert again.asked == [2, 3, 4, 5]


def test_a_failure_loses_nothing(tmp_path):
    with pytest.raises(ModelError):
        collect(Doubling(fail_at=3), rows(), tmp_path / "p", ABOUT, Work())
    again = Doubling()
    assert collect(again, rows(), tmp_path / "p", ABOUT, Work()).done == 6 and again.asked == [3, 4, 5]


def test_a_line_that_was_cut_off_is_made_again(tmp_path):
    collect(Doubling(), rows(), tmp_path / "p", ABOUT, Work())
    whole = (tmp_path / "p").read_bytes()
    for cut in (1, 2, 30, len(whole) - whole.index(b"\n") - 1, len(whole) - 3):
        (tmp_path / "p").write_bytes(whole[:-cut])
        again = Doubling()
        found = collect(again, rows(), tmp_path / "p", ABOUT, Work())
        assert [row["n"] for row in found.kept] == [5, 3, 2, 1, 0] and len(again.asked) >= (cut > 1), cut
        assert (tmp_path / "p").read_bytes().count(b"\n") >= 7


def test_what_was_made_of_other_rows_or_by_another_method_is_not_taken(tmp_path):
    collect(Doubling(), rows(), tmp_path / "p", ABOUT, Work())
    other = Doubling()
    changed = [*rows(3), Row(n=30), *rows(6)[4:], Row(n=6)]
    collect(other, changed, tmp_path / "p", ABOUT, Work())
    assert other.asked == [30, 6]
    new = Doubling()
    collect(new, rows(), tmp_path / "p", {"method": "another"}, Work())
    assert len(new.asked) == 6 and (tmp_path / "p.old-1").exists()
    assert len((tmp_path / "p").read_text().splitlines()) == 7


def test_what_was_spent_is_added_up_over_all_runs(tmp_path):
    first = Doubling()
    work = Work(meter=lambda: Counter(calls=10 * len(first.asked)), stop=lambda: len(first.asked) == 4)
    assert collect(first, rows(), tmp_path / "p", ABOUT, work).spent == {"calls": 40}
    second = Doubling()
    assert collect(
        second, rows(), tmp_path / "p", ABOUT, Work(meter=lambda: Counter(calls=len(second.asked)))
    ).spent == {"calls": 42}


def test_several_rows_at_once_give_the_same_and_a_failure_keeps_what_was_under_way(tmp_path):
    meeting = threading.Barrier(3, timeout=20)

    class Together(Doubling):
        def each(self, row):
            meeting.wait()
            return super().each(row)

    found = collect(Together(), rows(), tmp_path / "p", ABOUT, Work(workers=3))
    assert found.kept == collect(Doubling(), rows(), tmp_path / "q", ABOUT, Work()).kept

    class Failing(Doubling):
        def each(self, row):
            if row["n"] < 3:
                meeting.wait()
            return super().each(row)

    with pytest.raises(ModelError):
        collect(Failing(fail_at=1), rows(), tmp_path / "r", ABOUT, Work(workers=3))
    again = Doubling()
    collect(again, rows(), tmp_path / "r", ABOUT, Work())
    assert 1 in again.asked and not {0, 2} & set(again.asked)


def test_two_at_once_are_refused(tmp_path):
    class Nested(Doubling):
        def each(self, row):
            collect(Doubling(), rows(), tmp_path / "p", ABOUT, Work())
            return super().each(row)

    with pytest.raises(RunError, match="another process is at work"):
        collect(Nested(), rows(), tmp_path / "p", ABOUT, Work())


def test_a_curator_of_all_rows_at_once_needs_no_file(tmp_path):
    class Whole:
        def curate(self, rows):
            return Curated([*rows, Dropped("row 9", "why")])

    found = collect(Whole(), rows(2), tmp_path / "p", ABOUT, Work())
    assert len(found.kept) == 2 and found.dropped == [Dropped("row 9", "why")] and not list(tmp_path.iterdir())


def test_rows_are_written_whole(tmp_path):
    write_rows(tmp_path / "a.jsonl", [Row(text="é\u2028"), Row(n=1)])
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").split("\n")[:-1]] == [
        {"text": "é\u2028"},
        {"n": 1},
    ]
