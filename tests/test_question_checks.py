"""What a written question is checked for."""

import pytest

from espalier.question_checks import agrees, copied_share, holds, of_passage, same_script, spoken


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Where is the river?", "en"),
        ("강은 어디에 있나요?", "ko"),
        ("这条河在哪里", "zh"),
        ("川はどこですか", "ja"),
        ("Sungai itu berada di Jawa dan tidak jauh dari laut", "id"),
        ("1874", "en"),
    ],
)
def test_a_language_is_told(text, lang):
    assert spoken(text) == lang


def test_a_script_tells_languages_apart_as_far_as_it_can():
    assert same_script("Where?", "id") and same_script("東京", "ja") and same_script("Où ?", "fr")
    assert not same_script("Where?", "ko") and not same_script("어디?", "en")


def test_formula_the_longest_common_run_is_a_share_of_the_question():
    passage = "The mill at Kastel was built in 1874 by Belmi."
    assert copied_share("mill at Kastel was built when?", passage, "en") == 5 / 6
    assert copied_share("When did Belmi build it?", passage, "en") == 1 / 5
    assert copied_share("누가 물레방아를 지었나?", "물레방아는 벨미가 지었다.", "ko") == 4 / 10
    assert copied_share("?", passage, "en") == 0


def test_an_answer_stands_in_a_text_as_whole_words_where_words_are_spaced():
    assert holds("Built in Kastel, in 1874.", "the Kastel", "en") and not holds("Kastelburg", "Kastel", "en")
    assert holds("1874년에 지어졌다", "1874년", "ko") and holds("建于1874年", "1874年", "zh")
    assert not holds("anything", "...", "en")


def test_a_reply_agrees_with_an_answer_but_not_with_other_numbers():
    assert agrees("I think it was in Kastel, long ago.", ["Kastel"], "en", f1_from=0.6)
    assert agrees("the old mill road", ["old mill"], "en", f1_from=0.6)
    assert not agrees("1875년", ["1874년"], "ko", f1_from=0.6)
    assert agrees("카스텔", ["Kastel", "카스텔"], "en", f1_from=0.6)
    assert not agrees("not stated", ["Kastel"], "en", f1_from=0.6)


@pytest.mark.parametrize(
    "question", ["What does the passage say?", "Who wrote this text?", "이 글에서 누가?", "文中是谁?"]
)
def test_a_question_may_not_speak_of_its_passage(question):
    assert of_passage(question)
    assert not of_passage("Who discovered the Northwest route?")
