"""What a comparison says: averages, paired intervals and the verdict, on numbers a reader can follow."""

import math

import pytest

from espalier.comparison.figures import averaged, figures
from espalier.evaluation.results import Evaluation, Example, summarize

Z = 1.959963984540054  # of 95 %


def evaluation(right, *, kind="preference", name="mean_logp_accuracy", more=None):
    """One that gets these rows right; `more` are scores that every row has."""
    examples = [
        Example(n, f"row {n}", str(n), kind, f"prompt {n}", "", f"answer {n}", {name: (float(r), 1.0), **(more or {})})
        for n, r in enumerate(right)
    ]
    return Evaluation("m", "t", summarize(examples, resamples=50, seed=0), examples, len(examples))


def told(start, **measured):
    found = {name: ones if isinstance(ones, list) else [ones] for name, ones in measured.items()}
    return figures("40 rows", dict.fromkeys(found, start), found)


HALF, MORE, ALL = [1] * 20 + [0] * 20, [1] * 24 + [0] * 16, [1] * 40


def test_formula_paired_interval():
    """Bonett and Price: 4 of 40 rows gained, none lost; a = 5 / 42, b = 1 / 42."""
    part = told(evaluation(HALF), dpo=evaluation(HALF), ipo=evaluation(MORE))
    [change] = part.against_first["ipo"]
    a, b = 5 / 42, 1 / 42
    half = Z * math.sqrt((a + b - (a - b) ** 2) / 42)
    assert change.difference == pytest.approx(0.1) and change.n == 40
    assert (change.low, change.high) == pytest.approx((a - b - half, a - b + half), rel=1e-12)
    assert change.word == "cannot say" and part.against_start["ipo"] == (change,)


def test_the_winner_is_better_than_all_others_taken_together():
    part = told(evaluation(HALF), dpo=evaluation(HALF), ipo=evaluation(ALL), kto=evaluation(MORE))
    assert part.leading == "mean_logp_accuracy" and part.first == "dpo"
    assert part.verdict.startswith(
        "ipo won: on 40 rows chosen likelier than rejected, per token is 1.00 for ipo and 0.600"
    )
    assert part.told.endswith("Against the start (0.500) ipo gained.")


def test_what_may_be_chance_is_not_called_a_win():
    nearly = [1] * 38 + [0] * 2
    part = told(evaluation(HALF), dpo=evaluation(nearly), ipo=evaluation(ALL), kto=evaluation(HALF))
    assert part.verdict.startswith("Which is best cannot be said: on 40 rows") and "0.950 for dpo" in part.verdict
    assert "It is better than kto (0.500)." in part.told


def test_a_difference_allows_for_the_number_of_candidates():
    eight = [1] * 26 + [0] * 14  # against one other the interval leaves zero out; against nine it does not
    two = told(evaluation(HALF), a=evaluation(HALF), b=evaluation(eight))
    ten = told(evaluation(HALF), **{f"a{n}": evaluation(HALF) for n in range(9)}, b=evaluation(eight))
    assert two.verdict.startswith("b won") and ten.verdict.startswith("Which is best cannot be said")


def test_seeds_are_averaged_and_must_agree():
    up, down = evaluation([1] * 40), evaluation([1] * 21 + [0] * 19)
    mean = averaged([up, down])
    assert mean.examples[-1].scores == {"mean_logp_accuracy": (0.5, 1.0)}
    assert mean.metrics["mean_logp_accuracy"].value == pytest.approx((40 + 21) / 80)
    start = evaluation([1] * 22 + [0] * 18)
    part = told(start, dpo=[start, start], ipo=[up, down])
    [change] = part.against_first["ipo"]
    assert change.low > 0 and change.word == "cannot say"  # one seed is above, the other below
    assert part.seeds["ipo"]["mean_logp_accuracy"] == (21 / 40, 1.0)
    assert told(start, dpo=[start, start], ipo=[up, up]).against_first["ipo"][0].word == "gained"


def test_what_each_measures_against_its_own_reference_is_left_out():
    own = {"reward_accuracy": (1.0, 1.0), "reward_margin": (2.0, 1.0)}
    part = told(evaluation(HALF), dpo=evaluation(HALF, more=own), ipo=evaluation(MORE))
    assert set(part.found["dpo"].metrics) == {"mean_logp_accuracy"}


def test_lower_is_better_where_it_is():
    def wrong(bits):
        return evaluation(bits, kind="completion", name="bits_per_byte")

    part = told(wrong([8.0] * 40), dpo=wrong([8.0] * 40), ipo=wrong([4.0] * 39 + [4.5]))
    assert part.leading == "bits_per_byte" and part.verdict.startswith("ipo won")


def test_too_few_to_compare():
    assert "only dpo has been trained" in told(evaluation(HALF), dpo=evaluation(HALF)).verdict
    assert "no candidate" in told(evaluation(HALF)).verdict
