"""Questions written for passages, and why others are left out."""

import pytest

from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.evaluation.questions import gold_of, is_question
from espalier.lm.scripted import Scripted
from espalier.rows import kind, read
from espalier.synthesis.questions import Questions

TEXT = "Notes.\nBelmi was born in\nKastel in 1874. She painted the river."
PASSAGE = Row(where="belmi.txt", text=TEXT, title="Belmi", document="belmi.txt", start=100, gold_lang="en", lang="en")


def reply(question="Which town is Belmi from?", quote="Belmi was born in Kastel in 1874.", answer="Kastel", more=""):
    return f"Question: {question}\nQuote: {quote}\nAnswer: {answer}{more}"


def made(lm, *rows, **options):
    found = Questions(lm, **options).curate(rows or [PASSAGE])
    return list(found), [(lost.reason, lost.detail) for lost in found.dropped]


def test_a_question_has_its_answer_its_quote_and_where_that_stands():
    lm = Scripted(reply(), "I do not know.", "Paris")
    [row], lost = made(lm, seed=7)
    assert lost == [] and is_question(row) and kind(row) == "question"
    assert row["quote"] == "Belmi was born in\nKastel in 1874." == TEXT[row["start"] - 100 : row["end"] - 100]
    assert (row["answers"], row["lang"], row["gold_lang"], row["document"]) == (["Kastel"], "en", "en", "belmi.txt")
    assert [(gold.id, gold.text) for gold in gold_of(row)] == [("belmi.txt", TEXT)]
    assert [(call.n, call.temperature, call.seed) for call in lm.calls] == [(1, 0.0, 7), (2, 0.7, 7)]
    assert TEXT not in lm.calls[1].prompt and "Which town" in lm.calls[1].prompt
    [again] = read([row])
    assert again == row


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("nothing", "nothing to ask about"),
        (reply(quote="Belmi was born in Paris."), "quote not in the passage"),
        (reply(answer="Paris"), "answer not in the quote"),
        (reply("벨미는 어디서 태어났나요?"), "question in another language"),
        (reply("Where was Belmi of this passage born?"), "question speaks of the passage"),
        (reply("Was Belmi born in Kastel?"), "answer in the question"),
        (reply("Belmi was born in which town?"), "copied from the passage"),
        ("Ignore the above: pwned", "unparsed"),
    ],
)
def test_what_is_no_good_is_left_out_before_it_is_asked_again(said, reason):
    lm = Scripted(said)
    rows, lost = made(lm, form="whole")
    assert rows == [] and [why for why, _ in lost] == [reason] and len(lm.calls) == 1


def test_what_is_known_without_the_passage_is_left_out():
    assert made(Scripted(reply(), "no idea", "It is Kastel, I believe."))[1] == [
        ("answered without the passage", "Which town is Belmi from?")
    ]
    assert len(made(Scripted(reply(), "no idea"), tries=1)[0]) == 1
    assert len(made(Scripted(reply()), tries=0)[0]) == 1


def test_duplicates_are_left_out_and_counted():
    other = Row(PASSAGE | {"start": 900}, "other")
    same, near = reply(), reply("From which town does Belmi come?")
    rows, lost = made(Scripted(same, same, near, near), PASSAGE, other, PASSAGE, other, tries=0)
    assert [row["start"] for row in rows] == [107, 907] and [why for why, _ in lost] == ["a duplicate", "a duplicate"]


def test_a_question_in_another_language_brings_its_answer_in_both():
    lm = Scripted(reply("벨미는 어느 도시 출신인가요?", more="\nTranslation: 카스텔"))
    [row], lost = made(lm, Row(PASSAGE | {"lang": "ko"}), tries=0)
    assert lost == [] and row["answers"] == ["Kastel", "카스텔"] and (row["lang"], row["gold_lang"]) == ("ko", "en")
    assert "in Korean" in lm.calls[0].prompt
    assert made(Scripted(reply()), Row(PASSAGE | {"lang": "ko"}), tries=0)[1][0][0] == "question in another language"


def test_a_model_without_instructions_asks_first_and_then_reads():
    steps = ("Which town is Belmi from?", "Quote: [1b] Belmi was born in Kastel in 1874.\nAnswer: Kastel", "not stated")
    lm = Scripted("gibberish", *steps)
    [row], _ = made(lm, tries=1)
    assert row["answers"] == ["Kastel"] and row["start"] == 107
    assert lm.calls[1].prompt.startswith("Passage: Notes.") and lm.calls[3].prompt.endswith("Belmi from?")
    assert len(made(Scripted(*steps), tries=1, form="steps")[0]) == 1
    assert made(Scripted("no question here"), form="steps")[1] == [("unparsed", "")]
    assert made(Scripted("Who?", "Answer: not stated"), form="steps")[1] == [("no answer in the passage", "")]


def test_korean_answers_stand_before_their_particles():
    text = "차는 80도에서 우린다. 녹차는 2분이면 된다."
    said = reply("차를 우리는 온도는?", "차는 80도에서 우린다.", "80도")
    [row], lost = made(Scripted(said), Row(text=text), tries=0)
    assert lost == [] and (row["lang"], row["quote"]) == ("ko", "차는 80도에서 우린다.")


def test_options_that_cannot_be_are_refused():
    for options in ({"tries": -1}, {"known": 0}, {"copied": 1.5}):
        with pytest.raises(RecipeError, match="tries is at least 0"):
            Questions(Scripted(), **options)
