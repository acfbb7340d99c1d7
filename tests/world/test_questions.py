"""Questions about passages that are shown."""

import random
from collections import Counter

import pytest

from espalier import reading
from espalier.world.facts import World
from espalier.world.passages import Passage, Sentence
from espalier.world.questions import Mixture, chain, context, relatives, spread, unanswerable
from espalier.world.wordings import relations

WORLD = World.make(150, split="dev", seed=2)


def asked(mixture=Mixture(), count=300, seed=0):  # noqa: B008
    draw = random.Random(seed)
    for _ in range(count):
        shown = context(WORLD, draw, mixture)
        for question in shown.questions:
            yield shown, question


def only(kind):
    return Mixture(kinds=((kind, 1.0),), passages=(2, 4), facts=(2, 3))


def test_every_kind_is_asked_about_as_often_as_the_mixture_says():
    kinds = Counter(question.kind for _, question in asked())
    assert kinds.keys() == {kind for kind, _ in Mixture().kinds}
    assert kinds["single"] > 0.5 * kinds.total() and kinds["unanswerable"] > 0.05 * kinds.total()


def test_quotes_are_sentences_of_the_passages_named_as_gold():
    for shown, question in asked():
        by_title = {part.title: part for part in shown.passages}
        assert len(question.quotes) == len(question.gold)
        for quote, title in zip(question.quotes, question.gold, strict=True):
            assert quote in [sentence.text for sentence in by_title[title].sentences]
        assert bool(question.quotes) == (question.kind != "unanswerable")


def test_facts_are_in_the_order_of_the_quotes_and_true():
    for shown, question in asked():
        by_text = {s.text: s.fact for part in shown.passages for s in part.sentences}
        for fact in question.facts:
            assert WORLD.facts[fact.subject.name][fact.relation] == fact
        if question.quotes:
            assert tuple(by_text[quote] for quote in question.quotes) == question.facts


def test_single_answers_are_values():
    for _, question in asked(only("single")):
        (fact,) = question.facts
        assert question.answer == fact.value and fact.subject.name.lower() in question.text.lower()


def test_yes_and_no_are_right_and_about_as_many():
    answers = Counter()
    for _, question in asked(only("yes_no")):
        if question.kind == "yes_no":
            (fact,) = question.facts
            claimed = fact.value in question.text.replace(fact.subject.name, "")
            assert (question.answer == "yes") <= claimed
            assert question.text.lower().count(fact.subject.name.lower()) == 1
            answers[question.answer] += 1
    assert answers.keys() == {"yes", "no"} and 0.35 < answers["yes"] / answers.total() < 0.65


def test_comparisons_name_the_right_one():
    later, found = ("later", "more"), 0
    for _, question in asked(only("comparison")):
        if question.kind == "comparison":
            values = {fact.subject.name: int(fact.value.replace(",", "")) for fact in question.facts}
            most = any(f" {word}" in question.text for word in later)
            assert values[question.answer] == (max if most else min)(values.values())
            assert len(set(values.values())) == 2
            found += 1
    assert found > 100


def test_two_hops_lead_from_one_passage_to_another():
    found = 0
    for _, question in asked(only("two_hop")):
        if question.kind == "two_hop":
            first, second = question.facts
            assert first.value == second.subject.name and question.answer == second.value
            assert second.subject.name not in question.text and first.subject.name in question.text
            found += 1
    assert found > 100


@pytest.mark.parametrize("hard", [0.0, 1.0])
def test_what_is_unanswerable_stands_in_no_passage(hard):
    mixture = Mixture(kinds=(("unanswerable", 1.0),), hard=hard, passages=(2, 5))
    for shown, question in asked(mixture, 200):
        if question.kind == "unanswerable":
            (fact,) = question.facts
            assert question.answer == reading.ABSTAINED
            assert all(s.fact != fact for part in shown.passages for s in part.sentences)


def test_a_spouse_who_is_told_of_elsewhere_is_not_unanswerable():
    person = WORLD.by_kind["person"][0]
    fact = WORLD.facts[person.name]["spouse"]
    other = WORLD.by_name[fact.value]
    wedding = WORLD.facts[other.name]["spouse"]
    shown = (
        Passage(other, (Sentence(f"{other.name} married {person.name}.", wedding),)),
        Passage(person, (Sentence(f"{person.name} lives.", WORLD.facts[person.name]["residence"]),)),
    )
    for seed in range(100):
        question = unanswerable(WORLD, shown, random.Random(seed), "known")
        assert question is None or question.facts[0] not in (fact, wedding)


def test_hard_passages_differ_in_nothing_but_the_entity():
    for seed in range(30):
        parts = spread(WORLD, random.Random(seed), Mixture(hard=1.0), 4)
        told = [{s.fact.relation for s in part.sentences if s.fact} for part in parts]
        assert len({part.entity.kind for part in parts}) == 1 and all(one == told[0] for one in told)
        assert len({part.entity for part in parts}) == len(parts) == 4


def test_a_chain_names_the_entity_of_another_passage():
    for seed in range(30):
        parts = chain(WORLD, random.Random(seed), Mixture(), 4)
        names = {part.entity.name for part in parts}
        assert any(
            s.fact and relations()[s.fact.relation].whose and s.fact.value in names for p in parts for s in p.sentences
        )


def test_relatives_hold_one_of_the_family():
    family = next(members for members in WORLD.families.values() if len(members) > 1)
    for seed in range(20):
        found = relatives(WORLD, family[0], WORLD.by_kind["person"], 3, random.Random(seed))
        assert family[0] in found and len(set(found)) == 3
        assert sum(person in family for person in found) >= 2


def test_wordings_known_and_unseen():
    for _, question in asked(Mixture(wording="unseen", kinds=(("single", 1.0),)), 50):
        (fact,) = question.facts
        stems = [frame.split("{s}")[0] for frame in relations()[fact.relation].asked_unseen]
        assert any(question.text.startswith(stem[:1].upper() + stem[1:]) for stem in stems)


def test_the_same_seed_asks_the_same_and_nothing_twice():
    one, two, three = (list(asked(count=30, seed=seed)) for seed in (1, 1, 2))
    assert one == two != three
    for shown, _ in one:
        assert len({question.text for question in shown.questions}) == len(shown.questions)
