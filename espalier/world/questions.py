"""Questions with exact answers and the sentences that support them, asked about passages that are shown."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espalier import reading
from espalier.world.facts import Entity, Fact, World
from espalier.world.passages import Passage, passage
from espalier.world.wordings import Relation, Wording, ask, fill, relations


@dataclass(frozen=True)
class Question:
    """A question, its answer, and the sentences of the passages that it rests on; none: it cannot be answered."""

    text: str
    answer: str
    quotes: tuple[str, ...]
    kind: str  # single, yes_no, comparison, two_hop, unanswerable
    gold: tuple[str, ...] = ()  # titles of the passages the quotes are from
    facts: tuple[Fact, ...] = ()  # what was asked about, in the order of the quotes; no passage need state it


@dataclass(frozen=True)
class Context:
    """Passages, and questions about them."""

    passages: tuple[Passage, ...]
    questions: tuple[Question, ...]

    def shown(self) -> list[tuple[str, str]]:
        """Title and text of each passage."""
        return [(part.title, part.text) for part in self.passages]


@dataclass(frozen=True)
class Mixture:
    """How contexts are made: chances and sizes.

    Args:
        passages: fewest and most passages.
        facts: fewest and most facts in each.
        questions: most questions about one context.
        hard: chance that all passages are about the same kind and state the same relations.
        kinds: how often each kind of question is asked; those that a context cannot carry give way to others.
        wording: known wordings, or those kept out of training, in passages and in questions.
        filler: chance of a sentence about nothing in a passage.
        mistaken: chance of a contradicting sentence in a passage.
    """

    passages: tuple[int, int] = (1, 4)
    facts: tuple[int, int] = (1, 3)
    questions: int = 3
    hard: float = 0.7
    kinds: tuple[tuple[str, float], ...] = (
        ("single", 0.66), ("yes_no", 0.08), ("comparison", 0.06), ("two_hop", 0.08), ("unanswerable", 0.12),
    )  # fmt: skip
    wording: Wording = "known"
    filler: float = 0.3
    mistaken: float = 0.05


def context(world: World, draw: random.Random, mixture: Mixture) -> Context:
    """Passages and questions about them."""
    kind, *_ = draw.choices([kind for kind, _ in mixture.kinds], [share for _, share in mixture.kinds])
    count = draw.randint(*mixture.passages)
    passages = chain(world, draw, mixture, count) if kind == "two_hop" else spread(world, draw, mixture, count)
    asked: list[Question] = []
    for number in range(draw.randint(1, mixture.questions)):
        if number:
            kind, *_ = draw.choices([kind for kind, _ in mixture.kinds], [share for _, share in mixture.kinds])
        question = ASK[kind](world, passages, draw, mixture.wording) or single(world, passages, draw, mixture.wording)
        if question is not None and question.text not in {other.text for other in asked}:
            asked.append(question)
    return Context(passages, tuple(asked))


def spread(world: World, draw: random.Random, mixture: Mixture, count: int) -> tuple[Passage, ...]:
    """Passages about different entities; hard ones differ in nothing but the entity."""
    alike = draw.random() < mixture.hard
    kind = draw.choice(tuple(world.by_kind))
    pool = world.by_kind[kind] if alike else world.entities
    entities = relatives(world, draw.choice(pool), pool, count, draw)
    told = some(kind, mixture, draw)
    return tuple(
        written(world, entity, told if alike else some(entity.kind, mixture, draw), draw, mixture)
        for entity in entities
    )


def chain(world: World, draw: random.Random, mixture: Mixture, count: int) -> tuple[Passage, ...]:
    """Passages of which one names an entity that another is about."""
    relation = draw.choice([relation for relation in relations().values() if relation.whose])
    first = draw.choice(world.by_kind[relation.subject])
    second = world.by_name[world.facts[first.name][relation.name].value]
    told = {first: some(first.kind, mixture, draw, relation.name), second: some(second.kind, mixture, draw)}
    for pool in (world.by_kind[second.kind], world.by_kind[first.kind], world.entities) * count:
        if len(told) < max(count, 2):
            other = draw.choice(pool)
            alike = told[second] if other.kind == second.kind else told[first] if other.kind == first.kind else None
            told.setdefault(other, alike or some(other.kind, mixture, draw))
    entities = list(told)
    draw.shuffle(entities)
    return tuple(written(world, entity, told[entity], draw, mixture) for entity in entities)


def relatives(world: World, entity: Entity, pool: Sequence[Entity], count: int, draw: random.Random) -> list[Entity]:
    """An entity and others from the pool, one of its family first if it has one, in any order."""
    family = world.families[entity.name.split(" ")[-1]] if entity.kind == "person" else ()
    chosen = [entity, *[other for other in family if other != entity][:1]][:count]
    while len(chosen) < min(count, len(pool)):
        other = draw.choice(pool)
        if other not in chosen:
            chosen.append(other)
    draw.shuffle(chosen)
    return chosen


def some(kind: str, mixture: Mixture, draw: random.Random, *needed: str) -> list[str]:
    """Names of some relations of a kind."""
    known = [relation.name for relation in relations().values() if relation.subject == kind]
    count = min(draw.randint(*mixture.facts), len(known))
    return [*needed, *draw.sample([name for name in known if name not in needed], max(count - len(needed), 0))]


def written(world: World, entity: Entity, told: Sequence[str], draw: random.Random, mixture: Mixture) -> Passage:
    """A passage as the mixture has it."""
    return passage(world, entity, told, draw, wording=mixture.wording, filler=mixture.filler, mistaken=mixture.mistaken)


def single(world: World, shown: Sequence[Passage], draw: random.Random, wording: Wording) -> Question | None:
    """A question about one fact."""
    part = draw.choice(shown)
    sentence = draw.choice([s for s in part.sentences if s.fact is not None] or [None])
    if sentence is None or sentence.fact is None:
        return None
    relation = relations()[sentence.fact.relation]
    text = ask(relation, part.entity.name, draw, wording)
    return Question(text, sentence.fact.value, (sentence.text,), "single", (part.title,), (sentence.fact,))


def yes_no(world: World, shown: Sequence[Passage], draw: random.Random, wording: Wording) -> Question | None:
    """Whether a fact is so; half of the time it is."""
    found = single(world, shown, draw, wording)
    if found is None:
        return None
    (fact,) = found.facts
    relation, value = relations()[fact.relation], fact.value
    if draw.random() < 0.5:
        values = [other.value for other in all_values(world, relation, draw)]
        value = next((other for other in values if other not in (value, fact.subject.name)), value)
    answer = "yes" if value == fact.value else "no"
    text = fill(relation.yes, fact.subject.name, value)
    return Question(text, answer, found.quotes, "yes_no", found.gold, (fact,))


def all_values(world: World, relation: Relation, draw: random.Random) -> list[Fact]:
    """Facts of the same relation about others, a few of them."""
    return [world.facts[draw.choice(world.by_kind[relation.subject]).name][relation.name] for _ in range(5)]


def comparison(world: World, shown: Sequence[Passage], draw: random.Random, wording: Wording) -> Question | None:
    """Which of two is later, larger, more."""
    pairs = [
        (relation, one, two)
        for relation in relations().values() if relation.later
        for one in shown for two in shown
        if one.title < two.title and one.stating(relation.name) and two.stating(relation.name)
    ]  # fmt: skip
    if not pairs:
        return None
    relation, *both = draw.choice(pairs)
    draw.shuffle(both)
    facts = [world.facts[part.entity.name][relation.name] for part in both]
    numbers = [int(fact.value.replace(",", "")) for fact in facts]
    if numbers[0] == numbers[1]:
        return None
    later = draw.random() < 0.5
    first, second = (part.entity.name for part in both)
    text = (relation.later if later else relation.earlier).replace("{a}", first).replace("{b}", second)
    winner = both[(numbers[0] < numbers[1]) == later].entity.name
    quotes = tuple(sentence.text for part in both if (sentence := part.stating(relation.name)))
    return Question(text, winner, quotes, "comparison", tuple(part.title for part in both), tuple(facts))


def two_hop(world: World, shown: Sequence[Passage], draw: random.Random, wording: Wording) -> Question | None:
    """A question about an entity that only another passage names."""
    by_name = {part.entity.name: part for part in shown}
    steps = [
        (part, sentence, by_name[sentence.fact.value])
        for part in shown for sentence in part.sentences
        if sentence.fact and relations()[sentence.fact.relation].whose and sentence.fact.value in by_name
    ]  # fmt: skip
    if not steps:
        return None
    part, sentence, second = draw.choice(steps)
    ends = [s for s in second.sentences if s.fact]
    if not ends or sentence.fact is None:
        return None
    end = draw.choice(ends)
    assert end.fact is not None
    whose = fill(relations()[sentence.fact.relation].whose, part.entity.name, "")
    text = ask(relations()[end.fact.relation], whose[0].lower() + whose[1:], draw, wording)
    quotes, gold = (sentence.text, end.text), (part.title, second.title)
    return Question(text, end.fact.value, quotes, "two_hop", gold, (sentence.fact, end.fact))


def unanswerable(world: World, shown: Sequence[Passage], draw: random.Random, wording: Wording) -> Question | None:
    """A question whose answer no passage gives: another relation, or somebody else."""
    part = draw.choice(shown)
    told = {sentence.fact.relation for sentence in part.sentences if sentence.fact}
    if draw.random() < 0.5:
        known = [relation for relation in relations().values() if relation.subject == part.entity.kind]
        missing = [relation for relation in known if relation.name not in told]
        elsewhere = {s.fact.relation for other in shown for s in other.sentences if s.fact}
        if not missing:
            return None
        relation = draw.choice([relation for relation in missing if relation.name in elsewhere] or missing)
        name = part.entity.name
    else:
        here = {other.entity.name for other in shown}
        others = (draw.choice(world.by_kind[part.entity.kind]).name for _ in range(100))
        absent = next((other for other in others if other not in here), None)
        if not told or absent is None:
            return None
        relation, name = relations()[draw.choice(sorted(told))], absent
    text, fact = ask(relation, name, draw, wording), world.facts[name][relation.name]
    if any(s.fact and {s.fact.subject.name, s.fact.value} == {name, fact.value} for o in shown for s in o.sentences):
        return None  # the passage about somebody's spouse says it
    return Question(text, reading.ABSTAINED, (), "unanswerable", facts=(fact,))


ASK: dict[str, Callable[[World, Sequence[Passage], random.Random, Wording], Question | None]] = {
    "single": single,
    "yes_no": yes_no,
    "comparison": comparison,
    "two_hop": two_hop,
    "unanswerable": unanswerable,
}
