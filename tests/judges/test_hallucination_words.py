"""The floor: numbers and names that the passages do not have."""

from espalier.contracts import Row, Scorer
from espalier.hallucinations import Found, Span
from espalier.judges.hallucination_words import HallucinationWords

ROW = Row(completion="Belmi made soap in Ruvan.", passages=[{"text": "She made bread in Kastel.", "title": "Belmi"}])


def test_numbers_and_names_or_every_word():
    assert HallucinationWords().detect([ROW]) == [Found((Span(19, 24, "baseless"),), 16 / 21)]
    assert HallucinationWords(names=False).detect([ROW])[0].spans[0] == Span(11, 15, "baseless")


def test_words_of_the_question_are_known_and_a_score_is_a_share():
    scorer: Scorer = HallucinationWords()
    assert scorer.score([ROW, Row(ROW, question="Was it Ruvan?")]).values == (16 / 21, 1.0)
