"""Questions over documents."""

from collections import Counter

import pytest

from espalier.errors import RecipeError
from espalier.evaluation.questions import passages_of
from espalier.knowledge.documents import parse
from espalier.world.document_questions import KINDS, question_rows
from espalier.world.documents import documents
from espalier.world.facts import World

WORLD = World.make(150, split="test", seed=3)
LIBRARIES = {language: documents(WORLD, 1, language=language) for language in ("en", "ko")}
PAIRS = [("en", "en"), ("ko", "ko"), ("en", "ko"), ("ko", "en")]


@pytest.mark.parametrize(("told", "asked"), PAIRS)
def test_quotes_stand_in_the_gold_documents_and_passages(told, asked):
    library = LIBRARIES[told]
    texts = {document.name: parse(document.content.encode(), document.name).text for document in library.documents}
    kinds = Counter()
    for row in question_rows(library, 80, language=asked):
        kinds[row["kind"]] += 1
        assert (row["language"], row["wording"]) == (asked, "known")
        shown = {passage.id: passage for passage in passages_of(row)}
        assert {name for name, passage in shown.items() if passage.gold} == set(row["gold"])
        assert bool(row["answers"]) == bool(row["gold"]) == bool(row["quotes"]) == (row["kind"] != "unanswerable")
        for quote, place in zip(row["quotes"], row["citations"], strict=True):
            assert texts[place["document"]][place["start"] : place["end"]] == quote
            assert place["document"] in row["gold"] and quote in shown[place["document"]].text
        assert len(shown) == 3 + max(1, len(row["gold"]))
    assert kinds.keys() == {kind for kind, _ in KINDS}


@pytest.mark.parametrize(("told", "asked"), PAIRS)
def test_answers_are_true_and_stand_in_the_quotes(told, asked):
    for row in question_rows(LIBRARIES[told], 80, 1, language=asked):
        if row["kind"] in ("single", "numeric", "two_hop", "comparison"):
            assert any(answer.lower() in quote.lower() for answer in row["answers"] for quote in row["quotes"])
        if row["kind"] == "numeric":
            assert any(answer.replace(",", "").isdecimal() for answer in row["answers"])
        if row["kind"] == "yes_no":
            known = {"en": {"yes", "no"}, "ko": {"예", "아니요"}}
            assert row["answers"][0] in known[asked] and row["answers"][-1] in known[told]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_is_unanswerable_is_told_nowhere(language):
    """Neither in a document of its own nor in the other half of a marriage, though the world knows it."""
    library = LIBRARIES[language]
    stated = {(s.fact.subject.name, s.fact.relation) for s in library.statements()}
    for row in question_rows(library, 60, language="en", kinds=(("unanswerable", 1.0),)):
        named = [entity for entity in WORLD.entities if entity.name in row["question"]]
        missing = [
            fact for entity in named for fact in WORLD.about(entity.name) if (entity.name, fact.relation) not in stated
        ]
        assert missing and row["answers"] == row["gold"] == row["citations"] == []


def test_distractors_state_the_same_of_others():
    library = LIBRARIES["en"]
    by_name = {document.name: document for document in library.documents}
    for row in question_rows(library, 60, kinds=(("single", 1.0),), distractors=5):
        (gold,) = row["gold"]
        relation = next(s.fact.relation for s in by_name[gold].passage.sentences if s.text == row["quotes"][0])
        assert len(row["passages"]) == 6 and len({passage["id"] for passage in row["passages"]}) == 6
        for passage in row["passages"]:
            document = by_name[passage["id"]]
            assert document.passage.entity.kind == by_name[gold].passage.entity.kind
            assert document.passage.stating(relation).text in passage["text"]
    assert all(len(row["passages"]) == 1 for row in question_rows(library, 20, kinds=(("single", 1.0),), distractors=0))


def test_the_place_of_the_gold_passage_tells_nothing():
    rows = list(question_rows(LIBRARIES["en"], 200, kinds=(("single", 1.0),)))
    places = Counter([p["id"] for p in row["passages"]].index(row["gold"][0]) for row in rows)
    assert set(places) == {0, 1, 2, 3} and max(places.values()) < 0.4 * len(rows)


def test_no_question_twice_and_the_same_seed_asks_the_same():
    one, two, three = (list(question_rows(LIBRARIES["en"], 50, seed)) for seed in (1, 1, 2))
    assert one == two != three
    assert len({row["question"] for row in one}) == 50


def test_more_questions_than_there_are_is_refused():
    small = documents(World.make(10, split="dev"), share=0.1)
    with pytest.raises(RecipeError, match=r"carry no more than .* questions; ask fewer than 10000"):
        list(question_rows(small, 10_000))
