"""Search over the world in BEIR's files: corpus.jsonl, queries.jsonl and qrels/test.tsv, and rows to train on.

A passage with the answer is of relevance 2, another about the same entity 1 (Thakur et al., 2021, arXiv:2104.08663).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.world import korean
from espalier.world.documents import file_name
from espalier.world.facts import MUTUAL, Fact, World
from espalier.world.folders import new_folder
from espalier.world.passages import Passage, Sentence
from espalier.world.tongues import TONGUES, Language
from espalier.world.wordings import Wording, ask, relations

ANSWERS, RELATED = 2, 1


@dataclass(frozen=True)
class Search:
    """Passages by id, the facts that are asked for by the query's id, and both as they are worded.

    Args:
        passages: about every entity, each with a few of its facts, in `language`.
        wanted: what each query asks for.
        queries: the queries, in `asked`.
        relevance: how relevant which passages are to each query; the others are not.
        language: of the passages.
        asked: of the queries.
        wording: of both.
    """

    passages: Mapping[str, Passage]
    wanted: Mapping[str, Fact]
    queries: Mapping[str, str]
    relevance: Mapping[str, Mapping[str, int]]
    language: Language
    asked: Language
    wording: Wording

    def title(self, name: str) -> str:
        """A passage's title."""
        title = TONGUES[self.language].name(self.passages[name].entity)
        return title[0].upper() + title[1:]


def search(
    world: World, count: int, seed: int = 0, *,
    language: Language = "en", asked: Language | None = None, wording: Wording = "known", filler: float = 0.3,
) -> Search:  # fmt: skip
    """Passages about every entity, each with a few of its facts, and queries for some of these.

    Args:
        world: whose entities.
        count: queries.
        seed: of everything.
        language: of the passages.
        asked: the language of the queries; None is that of the passages.
        wording: known wordings, or those kept out of training.
        filler: chance of a sentence about nothing in a passage.

    Raises:
        RecipeError: the world has fewer facts.
    """
    draw, asked = random.Random(f"search {seed} {language} {world.split}"), asked or language
    facts = list(world.all_facts())
    if count > len(facts):
        raise RecipeError(f"a world of {len(facts)} facts has no {count} queries; ask for fewer, or a larger world.")
    passages = dict(_passages(world, draw, language, wording, filler))
    wanted = {f"q{number}": fact for number, fact in enumerate(draw.sample(facts, count), 1)}
    queries = {name: _query(fact, draw, asked, wording) for name, fact in wanted.items()}
    return Search(passages, wanted, queries, _relevance(passages, wanted), language, asked, wording)


def _passages(
    world: World, draw: random.Random, language: Language, wording: Wording, filler: float
) -> Iterator[tuple[str, Passage]]:
    """Every entity's facts in passages of one to three, in any order."""
    tongue = TONGUES[language]
    taken: set[str] = set()
    for entity in world.entities:
        stem, number = file_name(tongue.name(entity), "", taken), 0
        known = draw.sample(world.about(entity.name), len(world.about(entity.name)))
        while known:
            size, number = draw.randint(1, 3), number + 1
            told, known = known[:size], known[size:]
            lines = [Sentence(tongue.said(fact, draw, wording), fact) for fact in told]
            if draw.random() < filler:
                lines.insert(draw.randint(0, len(lines)), Sentence(tongue.filler(entity, draw)))
            yield f"{stem}-{number}", Passage(entity, tuple(lines))


def _query(fact: Fact, draw: random.Random, asked: Language, wording: Wording) -> str:
    if asked == "ko":
        return korean.question(fact, draw, wording)
    return ask(relations()[fact.relation], fact.subject.name, draw, wording)


def _relevance(passages: Mapping[str, Passage], wanted: Mapping[str, Fact]) -> dict[str, dict[str, int]]:
    about: dict[str, list[str]] = {}
    for name, passage in passages.items():
        about.setdefault(passage.entity.name, []).append(name)
    found = {}
    for query, fact in wanted.items():
        near = [*about[fact.subject.name], *(about[fact.value] if fact.relation in MUTUAL else ())]
        grades = {name: _grade(passages[name], fact) for name in near}
        found[query] = {name: grade for name, grade in grades.items() if grade}
    return found


def _grade(passage: Passage, fact: Fact) -> int:
    stated = passage.stating(fact.relation)
    if stated and stated.fact and (stated.fact == fact or stated.fact.value == fact.subject.name):
        return ANSWERS  # a marriage is told of either
    return RELATED if passage.entity == fact.subject else 0


def pairs(found: Search, seed: int = 0, *, negatives: int = 2) -> Iterator[Row]:
    """Documents for queries: `query`, `document` with the answer, `title` and `negatives`, which are near and wrong.

    Args:
        found: passages and queries.
        seed: of which negatives.
        negatives: at most so many that say the same of another entity; as many that say else of this one.
    """
    draw = random.Random(f"pairs {seed}")
    stating: dict[str, list[str]] = {}
    for name, passage in found.passages.items():
        for sentence in passage.sentences:
            if sentence.fact:
                stating.setdefault(sentence.fact.relation, []).append(name)
    for query, fact in found.wanted.items():
        grades = found.relevance[query]
        best = next(name for name, grade in grades.items() if grade == ANSWERS)
        same = [name for name, grade in grades.items() if grade == RELATED]
        alike = [name for name in stating[fact.relation] if name not in grades]
        wrong = [part for names in (same, alike) for part in draw.sample(names, min(negatives, len(names)))]
        yield Row(
            query=found.queries[query],
            document=found.passages[best].text,
            title=found.title(best),
            negatives=[found.passages[name].text for name in wrong],
        )


def doc2query(found: Search, seed: int = 0) -> Iterator[Row]:
    """Queries for documents: `document`, `title`, and in `queries` one for each fact it states."""
    draw = random.Random(f"doc2query {seed}")
    for name, passage in found.passages.items():
        facts = [sentence.fact for sentence in passage.sentences if sentence.fact]
        queries = [_query(fact, draw, found.asked, found.wording) for fact in facts]
        yield Row(document=passage.text, title=found.title(name), queries=queries)


def write_beir(found: Search, folder: Path, seed: int = 0) -> None:
    """Write corpus.jsonl, queries.jsonl, qrels/test.tsv, pairs.jsonl and doc2query.jsonl, or nothing.

    Raises:
        RunError: the folder holds something.
    """
    corpus = ({"_id": name, "title": found.title(name), "text": part.text} for name, part in found.passages.items())
    queries = ({"_id": name, "text": text} for name, text in found.queries.items())
    lines = ["query-id\tcorpus-id\tscore"]
    lines += [f"{query}\t{name}\t{grade}" for query in found.queries for name, grade in found.relevance[query].items()]
    with new_folder(folder) as partial:
        write_rows(partial / "corpus.jsonl", corpus)
        write_rows(partial / "queries.jsonl", queries)
        write_rows(partial / "pairs.jsonl", pairs(found, seed))
        write_rows(partial / "doc2query.jsonl", doc2query(found, seed))
        (partial / "qrels").mkdir()
        (partial / "qrels" / "test.tsv").write_text("\n".join((*lines, "")), encoding="utf-8", newline="\n")


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as JSON lines."""
    """Write rows as JSON Lines, one a line, in Unicode."""
    with file.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
