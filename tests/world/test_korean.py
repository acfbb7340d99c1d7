"""The world in Korean."""

import random
import re
import unicodedata

import pytest

from espalier.world import korean, wordings
from espalier.world.facts import Entity, Fact, World
from espalier.world.names import CLOSED, HANGUL, OPEN
from espalier.world.questions import Mixture, Question, context
from espalier.world.wordings import expansions

WORLD = World.make(120, split="dev", seed=1)
MARKS = re.compile(r"[(){}\[\]|]")
PERSON = Entity("person", "Kabim Tenmem")


def test_names_follow_the_kind():
    assert korean.name(PERSON) == "카빔 텐멤"
    assert korean.name(Entity("place", "Kabon")) == "카본"
    assert korean.name(Entity("work", "The Silent Orchard")) == "고요한 과수원"
    assert korean.name(Entity("organization", "Kabon Trading House")) == "카본 무역 상회"
    assert korean.name(Entity("event", "the Kabon Fair")) == "카본 박람회"
    assert korean.mention(Entity("work", "The Silent Orchard")) == "『고요한 과수원』"


@pytest.mark.parametrize(
    ("relation", "value", "expected"),
    [
        ("born", "1874", "1874년"),
        ("population", "54,338", "54,338명"),
        ("occupation", "piano maker", "피아노 제작자"),
        ("region", "the Salt Coast", "소금 해안"),
        ("residence", "Kabon", "카본"),
        ("employer", "Kabon Bank", "카본 은행"),
    ],
)
def test_values_carry_their_unit_and_are_translated(relation, value, expected):
    assert korean.value(Fact(PERSON, relation, value)) == expected


def test_every_relation_has_its_wordings_and_none_is_both_known_and_unseen():
    assert korean.relations().keys() == wordings.relations().keys()
    for name, relation in korean.relations().items():
        english = wordings.relations()[name]
        assert len(relation.said) >= 4 and len(relation.asked) >= 3 and relation.unseen and relation.asked_unseen
        for known, unseen in ((relation.said, relation.unseen), (relation.asked, relation.asked_unseen)):
            texts = [[text for frame in frames for text in expansions(frame)] for frames in (known, unseen)]
            assert not set(texts[0]) & set(texts[1])
            assert all(len(set(each)) == len(each) for each in texts)
        for field in ("whose", "later", "earlier"):
            assert bool(getattr(relation, field)) == bool(getattr(english, field)), (name, field)
        stated = [text for frame in relation.said + relation.unseen for text in expansions(frame)]
        asked = [text for frame in relation.asked + relation.asked_unseen for text in expansions(frame)]
        assert all("{s}" in text and "{o}" in text and text.endswith("다.") for text in stated)
        assert all("{s}" in text and text.endswith("가?") for text in asked)
        assert "{s}" in relation.yes and "{o}" in relation.yes


def test_property_every_frame_comes_out_in_plain_hangul():
    """No mark is left, whatever the wording, and the text is composed."""
    draw = random.Random(0)
    for fact in WORLD.all_facts():
        for wording in ("known", "unseen"):
            said, asked = korean.sentence(fact, draw, wording), korean.question(fact, draw, wording)
            assert not MARKS.search(said + asked), said + asked
            assert korean.mention(fact.subject) in said and korean.value(fact) in said
            assert korean.mention(fact.subject) in asked and korean.value(fact) not in asked.replace(
                korean.mention(fact.subject), ""
            )
            assert unicodedata.is_normalized("NFC", said)
            assert not re.search("[A-Za-z]", said + asked)


def test_particles_follow_names_and_values():
    fact = Fact(Entity("person", "Kabim Tena"), "residence", "Sudul")
    said = {korean.sentence(fact, random.Random(seed)) for seed in range(200)}
    assert any(text.endswith("카빔 테나는 수둘로 이사해 그곳에 머물렀다.") for text in said)
    assert any(text.endswith("수둘은 카빔 테나가 사는 곳이다.") for text in said)


def test_what_is_denied_is_another_value_and_grammatical():
    draw = random.Random(3)
    for fact in WORLD.all_facts():
        said = korean.denied(fact, WORLD, draw)
        assert not MARKS.search(said) and "이다고" not in said and "이다는" not in said
        mistaken = said.replace(korean.mention(fact.subject), "")
        assert korean.value(fact) not in mistaken or korean.value(fact) in korean.mention(fact.subject), said
    vowel = Fact(Entity("place", "Kabon"), "craft", "paper")
    texts = {korean.denied(vowel, WORLD, random.Random(seed)) for seed in range(300)}
    assert any("자랑거리는" in text and "라는 소문" in text for text in texts)


def test_dictionary_holds_every_name_and_word_and_is_unique_both_ways():
    found = korean.dictionary(WORLD)
    assert {entity.name for entity in WORLD.entities} <= found.keys()
    for values in (wordings.words()[name] for name in korean.words()):
        assert set(values) <= found.keys()
    assert len(set(found.values())) == len(found)
    assert len(found) == len(WORLD.entities) + sum(len(values) for values in korean.words().values())


def test_words_are_those_of_the_world_and_never_a_name():
    """A word of several syllables holds one that names are not built of."""
    syllables = {HANGUL[syllable] for syllable in (*OPEN, *CLOSED)}
    for name, values in korean.words().items():
        assert set(values) == set(wordings.words()[name]), name
        for word in values.values():
            assert len(word) == 1 or set(word.replace(" ", "")) - syllables, word


def test_questions_are_translated_with_their_answers():
    draw, kinds = random.Random(5), set()
    for _ in range(300):
        shown = context(WORLD, draw, Mixture())
        for asked in shown.questions:
            said = korean.translated(asked, WORLD, draw)
            kinds.add(asked.kind)
            assert (said.kind, said.quotes, said.gold) == (asked.kind, asked.quotes, asked.gold)
            assert not MARKS.search(said.text) and not re.search("[A-Za-z]", said.text)
            first = asked.facts[0]
            if asked.kind == "single":
                assert said.answer == korean.value(first)
            elif asked.kind == "yes_no":
                claimed = korean.value(first) in said.text.replace(korean.mention(first.subject), "")
                assert said.answer == (korean.YES if asked.answer == "yes" else korean.NO)
                assert claimed or asked.answer == "no"
            elif asked.kind == "two_hop":
                assert said.answer == korean.value(asked.facts[1])
                assert korean.mention(first.subject) in said.text and korean.value(first) not in said.text.split()
            elif asked.kind == "comparison":
                assert said.answer == korean.name(WORLD.by_name[asked.answer])
                assert all(korean.name(fact.subject) in said.text for fact in asked.facts)
            else:
                assert said.answer == asked.answer
    assert kinds == {"single", "yes_no", "two_hop", "comparison", "unanswerable"}


def test_a_comparison_asks_the_same_way_round():
    one = Fact(Entity("person", "Kabim Tena"), "born", "1800")
    two = Fact(Entity("person", "Budus Rimo"), "born", "1900")
    for text, answer, word in (
        ("Who was born later, Kabim Tena or Budus Rimo?", "Budus Rimo", "늦게"),
        ("Who was born earlier, Kabim Tena or Budus Rimo?", "Kabim Tena", "먼저"),
    ):
        asked = Question(text, answer, ("a", "b"), "comparison", (), (two, one))
        said = korean.translated(asked, WORLD, random.Random(0))
        assert said.text == f"카빔 테나와 부둣 리모 가운데 더 {word} 태어난 사람은 누구인가?"
