"""Numbers and differences in words."""

import pytest

from espalier.evaluation.wording import (
    NO_EVALUATION,
    OWN_ANSWERS,
    duration,
    forgot,
    listed,
    number,
    outcome,
    percent,
    share,
    signed,
    verdict,
)
from tests.evaluation.runs import difference, general


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (0.5, "0.500"), (0.0064, "0.0064"), (1.2e-5, "1.2e-05"), (0.9999, "1.00"), (1.036, "1.04"),
        (9.999, "10.0"), (61.25, "61.2"), (999.9, "1,000"), (1240.3, "1,240"), (-0.018, "-0.018"),
        (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_number_has_the_digits_a_reader_needs(value, text):
    assert number(value) == text


def test_signs_shares_and_lists():
    assert [signed(v) for v in (0.5, -0.5, 0)] == ["+0.500", "-0.500", "0"]
    assert [share(v) for v in (0, 0.032, 0.5, 0.995, 1)] == ["0 %", "3.2 %", "50 %", "99.5 %", "100 %"]
    assert [listed(list("abcde")[:n]) for n in (0, 1, 2, 3, 5)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 2 more",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.6, "4 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (2e5, "2 d 7 h")],
)
def test_a_duration_is_said_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_the_verdict_names_gain_loss_and_doubt():
    told = verdict([
        difference("F1"), difference("perplexity", "lost", 1, 2, n=80), difference("length", "cannot say", -1, 1),
    ])  # fmt: skip
    assert told.startswith("Gained: F1 0.500 to 0.700 (a change of +0.100 to +0.300); lost: perplexity")
    assert told.endswith("cannot say: length; with 95 % confidence on 50 to 80 rows.")


def test_the_verdict_admits_that_nothing_can_be_said():
    assert "cannot be said with 95 % confidence" in verdict([difference(word="cannot say", low=-0.1)])
    assert verdict([]) == NO_EVALUATION


def test_the_verdict_does_not_hide_a_loss_without_gain():
    assert verdict([difference("F1", "lost")]).startswith("Gained: nothing that shows; lost: F1")


def test_a_new_reward_model_is_told_by_its_accuracy():
    found = {"after": {"metrics": {"pair_accuracy": {"value": 0.75, "low": 0.5, "high": 0.9, "n": 20}}}}
    assert outcome(found) == "Of two answers the better one is scored higher in 75 % of 20 rows (50 % to 90 %)."
    found["after"]["metrics"]["pair_accuracy"] |= {"low": None, "n": 1}
    assert outcome(found).endswith("in 75 % of 1 rows.")
    assert outcome({}) == outcome({"after": None}) == NO_EVALUATION


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (general(), "forgot: perplexity on general rows 12.1 to 14.9 (+18 to +27 %, 64 rows)"),
        (
            general(what=OWN_ANSWERS),
            "moved: perplexity on its own earlier answers 12.1 to 14.9 (+18 to +27 %, 64 rows)",
        ),
        (general(word="cannot say", low=-0.004, high=0.012), "forgot nothing that shows: perplexity on general rows"),
        (general(word="gained", low=-0.2, high=-0.1), "not forgotten, but gained: perplexity on general rows"),
        ({"what": "general rows", "problem": "no room"}, ""),
        (None, ""),
    ],
)
def test_what_was_forgotten_is_said_or_that_it_may_only_have_moved(found, text):
    assert forgot(found).startswith(text) and bool(forgot(found)) == bool(text)


def test_gain_and_loss_stand_in_one_sentence():
    told = outcome({"differences": [difference("F1")], "general": general()})
    assert told.startswith("Gained: F1") and told.endswith("on 50 rows; " + forgot(general()) + ".")


def test_changes_in_per_cent():
    assert [percent(value) for value in (0.18, -0.101, 0.004, -0.0966, 12.5)] == [
        "+18",
        "-10",
        "+0.4",
        "-9.7",
        "+1,250",
    ]
