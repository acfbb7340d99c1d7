"""Rows made ready: what fits, what is left out, and in which group each row is."""

from collections import Counter

import pytest

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.preparing import FEWER, MOST_GROUPS, ready, split
from espalier.lm.local import Local
from espalier.lm.scripted import Scripted
from tests.evaluation.asked import row
from tests.evaluation.tiny import RENDERER, tiny_role


def prepared(rows, model=None, max_tokens=8):
    skipped = Counter()
    total, found = ready(rows, model or Scripted(), skipped, None, max_tokens)
    assert total == len(rows)
    return found, skipped


def test_passages_that_leave_no_room_for_an_answer_are_dropped_from_the_end_and_counted():
    model = Local(tiny_role(), RENDERER)
    model.context = 400
    passages = ["a" * 100, "b" * 100, "c" * 100]
    [measured], skipped = prepared([row("q", passages=passages)], model)
    shown = [passage.text for passage in measured.case.passages]
    assert shown == passages[: len(shown)] and 0 < len(shown) < 3 and skipped == {FEWER: 1}
    assert len(measured.start) <= 400 - 8 < len(measured.start) + 115
    assert measured.start.tolist() == RENDERER.prompt(measured.case.prompt).tolist()


def test_long_answers_leave_passages_three_quarters_of_the_context():
    model = Local(tiny_role(), RENDERER)
    model.context = 400
    [measured], skipped = prepared([row("q", passages=["a" * 60])], model, max_tokens=10_000)
    assert len(measured.case.passages) == 1 and len(measured.start) <= 300 and not skipped


def test_a_model_elsewhere_is_shown_everything():
    [measured], skipped = prepared([row(passages=["a" * 10_000])])
    assert len(measured.case.passages) == 1 and measured.start is None and not skipped


def test_rows_are_known_by_what_they_hold_and_not_by_what_is_shown():
    given = [row(passages=["a"]), row(passages=["b"])]
    found = ready(given, Scripted(), Counter(), lambda one: (row(), {"recall": (1.0, 1.0)}), 8)[1]
    assert len({measured.key for measured in found}) == 2 and found[0].scores == {"recall": (1.0, 1.0)}
    assert [measured.key for measured in found] == [measured.key for measured in prepared(given)[0]]


def test_groups_are_values_of_a_column():
    found, _ = prepared([row(kind="who"), row(kind=3), row(kind=True), row(), row(kind=["a"])])
    split(found, "kind")
    assert [measured.group for measured in found] == ["who", "3", "true", "none", '["a"]']
    with pytest.raises(RowError, match=r"no column named 'kid'\. Did you mean 'kind'"):
        split(found, "kid")


def test_a_column_of_which_every_row_has_its_own_value_splits_nothing():
    found, _ = prepared([Row(prompt=str(n)) for n in range(MOST_GROUPS + 1)])
    with pytest.raises(RowError, match="51 different values"):
        split(found, "prompt")
