"""Verdicts: read from what judges say, counted without mixing up what is unknown, and the pairs among rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.verdicts import Judged, Tally, completion_text, pairs_of, prompt_text, rating, tally, verdict


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A is better. [[A]]", "A"),
        ("[[B]]", "B"),
        ("**[[ C ]]**\n", "C"),
        ("Reply A quotes [[A]], yet B is right. [[B]]", "B"),  # the last counts
        ("<think>perhaps [[A]]</think>No. [[B]]", "B"),
        ("perhaps [[A]] </think> I do not know.", None),  # a template may have written the first mark
        ("<think>it may be [[A]]", None),  # cut short
        ("[A] is better", None),
        ("[[D]]", None),
        ("[[a]]", None),
        ("[[AB]]", None),
        ("", None),
    ],
)
def test_a_verdict_is_the_last_mark_of_the_answer(reply, letter):
    assert verdict(reply) == letter


@given(st.text(), st.text(alphabet="[]ABC think</>x", max_size=20), st.sampled_from("ABC"))
def test_property_a_verdict_on_the_last_line_is_read_whatever_precedes_it(before, more, letter):
    text = before.replace("think", "") + more.replace("think", "")
    assert verdict(f"{text}\n[[{letter}]]") == letter


def judged(winner, *verdicts):
    return Judged(winner, verdicts, ("", ""))


def test_formula_tally():
    pairs = [
        judged("first", "A", "B"),
        judged("first", "A", "B"),
        judged("second", "B", "A"),
        judged("tie", "A", "A"),
        judged("tie", "B", "B"),
        judged("tie", "C", "C"),
        judged("tie", "A", "C"),
        judged("tie", "A", "A"),
        judged(None, None, "A"),
        judged(None, None, None),
    ]
    # of the 8 pairs with verdicts the place A won twice in both orders, the place B once
    assert tally(pairs) == Tally(2, 1, 5, 2, toward_a=2 / 8, toward_b=1 / 8)


def test_rates_of_nothing_are_unknown():
    assert tally([]) == Tally(0, 0, 0, 0, None, None)
    assert tally([judged(None, None, None)]) == Tally(0, 0, 0, 1, None, None)


def row(group, completion="c", prompt="p", **more):
    return Row({"prompt": prompt, "completion": completion, "group": group, **more}, where=f"rows.jsonl, row {group}")


def test_the_rows_of_a_group_need_not_stand_together():
    assert pairs_of([row("x"), row("y"), row("y"), row("x")]) == [(0, 3), (1, 2)]
    assert pairs_of([]) == []


def test_each_two_rows_of_a_larger_group_are_a_pair():
    assert pairs_of([row("x"), row("y"), row("x"), row("x"), row("y")]) == [(0, 2), (0, 3), (2, 3), (1, 4)]


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("Clear and right.\n[[7]]", 7),
        ("[[ 7.5 ]]", 7.5),
        ("[[10]]", 10),
        ("[[1]]", 1),  # not the 1 of a 10
        ("It quotes [[2]], yet is good. [[8]]", 8),  # the last counts
        ("<think>[[3]]</think>[[4]]", 4),
        ("<think>perhaps [[3]]", None),  # cut short
        ("Good.\nRating: 7", 7),
        ("Good.\n**Overall score: 7/10**", 7),
        ("7", 7),
        ("7/5", None),  # another scale
        ("[[0]]", None),
        ("[[11]]", None),
        ("100", None),
        ("[[-3]]", None),
        ("I give it 7 of 10 points", None),
        ("Step 7", None),
        ("[[7]] or so, and 3 for style [[eight]]", 7),
        ("", None),
    ],
)
def test_a_rating_is_the_last_mark_or_a_last_line_that_is_a_number(reply, number):
    assert rating(reply, 1, 10) == number


@given(st.integers(1, 10), st.text(alphabet="[]0123456789/ .\nab", max_size=40))
def test_property_a_rating_is_on_the_scale_and_a_marked_last_line_is_it(value, before):
    found = rating(before, 1, 10)
    assert found is None or 1 <= found <= 10
    assert rating(f"{before}\n[[{value}]]", 1, 10) == value


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([row(1)], "row 1: group 1 has one row; a judge of pairs needs two or more"),
        ([row(1), row(1, prompt="q")], "row 1: its prompt differs from the other of group 1"),
        ([row(None)], "'group' is missing; a judge of pairs needs prompt, completion, group"),
        ([row(1, completion=None), row(1)], "'completion' is missing"),
        ([row([1]), row([1])], "'group' is text or a number, not"),
    ],
)
def test_rows_that_are_no_pairs_are_refused(rows, sentence):
    with pytest.raises(RowError, match=sentence):
        pairs_of(rows)


def test_prompts_and_completions_are_read_as_people_do():
    talk = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]
    answer = [{"role": "assistant", "content": "<think>hm</think>\nHi."}]
    assert prompt_text(row(1, prompt=talk)) == "system: Be kind.\n\nuser: Hello?"
    assert prompt_text(row(1, prompt=talk[1:])) == prompt_text(row(1, prompt="Hello?")) == "Hello?"
    assert completion_text(row(1, completion=answer)) == completion_text(row(1, completion="Hi.")) == "Hi."
    with pytest.raises(RowError, match="neither text nor a list"):
        prompt_text(row(1, prompt=5))
