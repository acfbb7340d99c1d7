"""A row's part of every number."""

import pytest

from espalier.contracts import Row, Sample
from espalier.evaluation.cases import case_of
from espalier.evaluation.likelihood import Likelihood
from espalier.evaluation.scores import of_answer, of_likelihood


def test_formula_cross_entropy_sums_over_the_paths_of_a_row():
    scores = of_likelihood(case_of(Row(text="t")), [Likelihood(-3.0, 2, 5), Likelihood(-1.0, 2, 3)])
    assert scores == {"perplexity": (4.0, 4.0), "bits_per_byte": (4.0, 8.0)}


def test_formula_options_by_sum_and_per_byte_can_differ():
    found = [Likelihood(-4.0, 4, 8), Likelihood(-3.0, 1, 2)]
    scores = of_likelihood(case_of(Row(prompt="p", options=["long", "s"], answer=0)), found)
    assert scores == {"option_accuracy": (0.0, 1.0), "option_accuracy_per_byte": (1.0, 1.0)}


def test_formula_preference_by_sum_and_mean_can_differ():
    scores = of_likelihood(
        case_of(Row(prompt="p", chosen="long", rejected="s")), [Likelihood(-4.0, 4, 8), Likelihood(-3.0, 1, 2)]
    )
    assert scores["logp_accuracy"] == (0.0, 1.0) and scores["mean_logp_accuracy"] == (1.0, 1.0)
    assert scores["chosen_perplexity"] == (4.0, 4.0)


def test_a_number_is_compared_in_the_language_of_the_question():
    case = case_of(Row(prompt="언제예요?", answers=["1988"]))
    assert of_answer(case, Sample("1988년"))["f1"] == (pytest.approx(8 / 9), 1.0)


def test_reasoning_is_no_part_of_the_answer():
    case = case_of(Row(prompt="Who?", answers=["Bo"]))
    scores = of_answer(case, Sample("<think>나는 생각한다</think>\n\nBo", ids=(1, 2, 3)))
    assert scores["exact_match"] == scores["same_script"] == (1.0, 1.0) and scores["length"] == (3.0, 1.0)


def test_what_an_answer_cannot_say_is_missing_not_zero():
    scores = of_answer(case_of(Row(prompt="Who?")), Sample("42", ended=False))
    assert scores == {"ended": (0.0, 1.0)}
