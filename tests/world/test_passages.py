"""Passages."""

import random

from espalier.world.facts import World
from espalier.world.passages import Passage, Sentence, denied, passage, said
from espalier.world.wordings import relations

WORLD = World.make(60, split="dev")
PERSON = WORLD.by_kind["person"][0]


def test_a_passage_states_what_it_is_told_to_and_nothing_else():
    for seed in range(30):
        draw = random.Random(seed)
        found = passage(WORLD, PERSON, ["born", "residence"], draw, filler=0.0)
        assert {s.fact.relation for s in found.sentences} == {"born", "residence"}
        for relation in ("born", "residence"):
            sentence = found.stating(relation)
            assert sentence.fact == WORLD.facts[PERSON.name][relation]
            assert sentence.fact.value in sentence.text and PERSON.name in sentence.text and sentence.text in found.text
        assert found.stating("spouse") is None


def test_facts_stand_in_any_order_and_filler_states_nothing():
    found = [passage(WORLD, PERSON, ["born", "residence"], random.Random(seed), filler=0.5) for seed in range(60)]
    orders = {tuple(s.fact.relation for s in one.sentences if s.fact) for one in found}
    assert orders == {("born", "residence"), ("residence", "born")}
    assert 10 < sum(len(one.sentences) == 3 for one in found) < 50


def test_a_mistake_is_another_value_and_no_fact():
    for seed in range(30):
        found = passage(WORLD, PERSON, ["residence"], random.Random(seed), filler=0.0, mistaken=1.0)
        (false,) = [sentence.text for sentence in found.sentences if sentence.fact is None]
        assert WORLD.facts[PERSON.name]["residence"].value not in false and PERSON.name in false
    draw = random.Random(0)
    for fact in WORLD.all_facts():
        assert said(fact, draw) != denied(fact, WORLD, draw)


def test_unseen_wordings_are_used_where_asked_for():
    found = passage(WORLD, PERSON, ["born"], random.Random(0), wording="unseen", filler=0.0)
    assert any(part in found.text for part in ("saw the birth of", "he register gives"))
    assert relations()["born"].unseen


def test_formula_titles_begin_with_a_capital_and_texts_are_one_line():
    event = WORLD.by_kind["event"][0]
    assert Passage(event, ()).title == "The" + event.name.removeprefix("the")
    assert Passage(event, (Sentence("One."), Sentence("Two."))).text == "One. Two."


def test_the_same_seed_tells_the_same():
    one, two, three = (passage(WORLD, PERSON, ["born", "spouse"], random.Random(seed)) for seed in (1, 1, 2))
    assert one == two != three
