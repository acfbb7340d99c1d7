"""A row's part of every number."""

import pytest

from espalier.contracts import Row, Sample
from espalier.evaluation.cases import case_of
from espalier.evaluation.likelihood import Likelihood
from espalier.evaluation.scores import of_answer, of_likelihood
from tests.evaluation.asked import BELMI, OTHERS, row, told


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


@pytest.mark.parametrize("reply", ["5 + 7 = 12\nAnswer: 12", "It is 5 + 7, so #### 12", "the answer is 12."])
def test_a_reply_may_work_towards_its_answer(reply):
    scores = of_answer(
        case_of(Row(prompt="What is 5 and 7?", completion="5 + 7 = 12\nAnswer: 12", answer="12")), Sample(reply)
    )
    assert scores["exact_match"] == (1.0, 1.0)
    wrong = of_answer(case_of(Row(prompt="What is 5 and 7?", answer="12")), Sample("5 + 7 = 12\nAnswer: 13"))
    assert wrong["exact_match"] == (0.0, 1.0)


def test_reasoning_is_no_part_of_the_answer():
    case = case_of(Row(prompt="Who?", answers=["Bo"]))
    scores = of_answer(case, Sample("<think>나는 생각한다</think>\n\nBo", ids=(1, 2, 3)))
    assert scores["exact_match"] == scores["same_script"] == (1.0, 1.0) and scores["length"] == (3.0, 1.0)


def test_what_an_answer_cannot_say_is_missing_not_zero():
    scores = of_answer(case_of(Row(prompt="Who?")), Sample("42", ended=False))
    assert scores == {"ended": (0.0, 1.0)}


def replied(text, **fields):
    """The scores of a reply to a question with the passage of Belmi and another."""
    case = case_of(row(**{"passages": [OTHERS[0], BELMI], "gold": [1], **fields}))
    scores = of_answer(case, Sample(text, ids=(1, 2)))
    return {name: value[0] for name, value in scores.items() if name not in ("ended", "length", "repetition")}


SAID = BELMI["text"]


@pytest.mark.parametrize(
    ("reply", "exact", "found", "gold"),
    [
        (told("Kastel", SAID), 1, 1, 1),
        (told("the Kastel.", "was born  in Kastel"), 1, 1, 1),
        (told("Kastel"), 1, 0, 0),
        (told("Kastel", "Belmi lived in Kastel."), 1, 0, 0),
        (told("Town0", OTHERS[0]["text"]), 0, 1, 0),
        (told("Kastel", SAID, OTHERS[0]["text"]), 1, 1, 0),
        (told("Kastel", SAID, "invented"), 1, 0, 0),
        (told("Kastel", ""), 1, 0, 0),
        ("Kastel", 1, 0, 0),
        (f"<think>{told('Town0')}</think>\n{told('Kastel', SAID)}", 1, 1, 1),
    ],
)
def test_formula_an_answer_and_what_it_quotes(reply, exact, found, gold):
    scores = replied(reply)
    assert scores.pop("f1") == exact
    assert scores == {"exact_match": exact, "abstained_falsely": 0, "quote_found": found, "quote_gold": gold}


def test_an_abstention_is_wrong_where_there_is_an_answer_and_right_where_there_is_none():
    wrong = {"exact_match": 0, "f1": 0, "abstained_falsely": 1, "quote_found": 0, "quote_gold": 0}
    assert replied(told("not stated")) == replied("") == replied(told("Not stated.", SAID)) == wrong
    assert replied(told("not stated"), answers=("The",)) == wrong  # "The" is no word once articles are gone
    assert replied(told("Not stated."), answerable=False) == {"abstained": 1}
    assert replied(told("Kastel", SAID), answers=[]) == {"abstained": 0}


def test_without_passages_or_gold_nothing_is_said_of_quotes():
    assert replied(told("Kastel", SAID), passages=[]).keys() == {"exact_match", "f1", "abstained_falsely"}
    assert replied(told("Kastel", SAID), gold=None)["quote_found"] == 1
    assert "quote_gold" not in replied(told("Kastel", SAID), gold=None)


def test_answers_are_compared_in_the_rows_language():
    # 서울시 / 서울: 2 * 2 / 5 of characters; by words it is 0
    assert replied(told("서울시"), answers=["서울"])["f1"] == pytest.approx(0.8, rel=1e-12)
    assert replied(told("서울시"), answers=["서울"], language="en")["f1"] == 0
