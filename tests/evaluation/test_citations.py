"""Citation recall and precision by hand; what is a statement, and what entails it."""

import pytest

from espalier.contracts import Answer, Citation, Hit
from espalier.errors import ModelError
from espalier.evaluation.citations import Asked, ContentWords, Statement, citation_scores, statements_of
from espalier.lm.scripted import Scripted

BORN = "Belmi Dorvan was born in Kastel in 1874."
WORKED = "Belmi Dorvan worked as a mason."
OTHER = "The river floods in spring."


class Needs:
    """Entails what has all of these words."""

    def __init__(self, *words):
        self.words = words

    def entails(self, passages, statement):
        return all(any(word in text for text in passages) for word in self.words)


def statement(*cited):
    return Statement("s", "q", cited)


@pytest.mark.parametrize(
    ("cited", "recall", "precision"),
    [
        ((), 0, 0),
        (("ab",), 1, 1),
        (("a",), 0, 0),
        (("a", "b"), 1, 1),  # neither by itself, both needed
        (("ab", "c"), 1, 1 / 2),  # the second is superfluous
        (("a", "b", "c"), 1, 2 / 3),
        (("ab", "ab"), 1, 1),  # each is enough by itself
        (("ab", ""), 1, 1 / 2),  # a quote that was found nowhere
        (("c", "c", "c", "ab"), 0, 0),  # only three count
    ],
)
def test_formula_recall_and_precision_of_one_statement(cited, recall, precision):
    assert citation_scores([statement(*cited)], Needs("a", "b")) == pytest.approx((recall, precision))


def test_formula_precision_is_over_all_citations_of_the_answer():
    found = citation_scores([statement("ab"), statement("c", "d"), statement()], Needs("a", "b"))
    assert found == pytest.approx((1 / 3, 1 / 3))


def test_every_content_word_stands_in_the_passages():
    judge = ContentWords()
    assert judge.entails([BORN, WORKED], Statement("The mason was born in Kastel", "", ()))
    assert not judge.entails([BORN], Statement("a mason from Kastel", "", ()))
    assert not judge.entails([BORN], Statement("", "", ()))


def answer(text, *citations, hits=()):
    return Answer(text, citations, hits=hits)


QUOTED = Citation("born in Kastel", "a.md", 114, 128, verified=True)
HITS = (Hit("b.md", 1.0, OTHER, start=100), Hit("a.md", 0.5, BORN, "Dorvan", start=100))


def test_an_answer_without_marks_is_one_statement_on_all_its_passages():
    [found] = statements_of("Where?", answer("Kastel", QUOTED, Citation("made up"), hits=HITS))
    assert found == Statement("Kastel", "Where?", (f"Dorvan\n{BORN}", ""))
    assert citation_scores([found], ContentWords()) == (1.0, 0.5)


def test_sentences_cite_by_their_marks():
    text = "He was born in Kastel. [1] He worked as a mason [2][3]. He liked tea."
    found = statements_of("Who?", answer(text, QUOTED, Citation("x", "c.md", 0, 1, verified=True), hits=HITS))
    assert [(one.text, one.cited) for one in found] == [
        ("He was born in Kastel.", (f"Dorvan\n{BORN}",)),
        ("He worked as a mason.", ("x", "")),
        ("He liked tea.", ()),
    ]


def test_an_abstention_says_nothing():
    assert statements_of("Who?", answer("not stated")) == []


def test_a_model_weighs_yes_against_no():
    lm = Scripted(logprob=lambda prompt, said: -1.0 if (said == "yes") == (BORN in prompt) else -2.0)
    said = Statement("Kastel", "Where?", ())
    assert Asked(lm).entails([BORN], said) and not Asked(lm).entails([OTHER], said)


def test_a_model_without_log_probabilities_says_it():
    lm = Scripted("Yes, they do.", "No.")
    judge = Asked(lm)
    assert [judge.entails([BORN], Statement("Kastel", "Where?", ())) for _ in range(2)] == [True, False]
    with pytest.raises(ModelError, match="one more"):
        judge.entails([BORN], Statement("Kastel", "Where?", ()))
