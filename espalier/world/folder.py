"""A world as files: three splits that share no entity, each with documents, questions and rows for every method."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from espalier.contracts import Row
from espalier.world import beir, instructions, judging, korean, preferences, reviews, sums
from espalier.world.beir import write_rows
from espalier.world.curriculum import readings, searched
from espalier.world.document_questions import question_rows
from espalier.world.documents import Telling, write_documents
from espalier.world.facts import World
from espalier.world.folders import new_folder
from espalier.world.names import Split
from espalier.world.questions import Mixture
from espalier.world.wordings import Wording

LIKED = preferences.Reward(mood=0.5, politeness=1.0)
CANDIDATES = 3  # completions of each prompt that are judged


def write_world(folder: Path, *, size: int = 300, rows: int = 400, seed: int = 0) -> None:
    """Write train/, dev/ and test/, or nothing.

    Args:
        folder: where to; it must not exist, or be empty.
        size: entities of each split.
        rows: of each file at most.
        seed: of everything.

    Raises:
        RunError: the folder holds something.
        RecipeError: a world of that size does not carry so many rows.
    """
    with new_folder(folder) as partial:
        for split in get_args(Split):
            write_split(partial / split, World.make(size, split=split, seed=seed), rows, seed)


def write_split(folder: Path, world: World, rows: int, seed: int) -> None:
    """Write everything about one split."""
    folder.mkdir()
    for wording, suffix in (("known", ""), ("unseen", "_unseen")):
        told: Wording = "unseen" if wording == "unseen" else "known"
        library = write_documents(world, folder / f"documents{suffix}", seed, telling=Telling(wording=told))
        write_rows(folder / f"questions{suffix}.jsonl", question_rows(library, rows, seed))
        read = readings(world, rows, chance(seed, f"reading{suffix}"), mixture=Mixture(wording=told))
        write_rows(folder / f"reading{suffix}.jsonl", read)
        found = searched(library, rows, chance(seed, f"searched{suffix}"))
        write_rows(folder / f"searched{suffix}.jsonl", found)
        if told == "known":
            write_rows(folder / "questions_ko_en.jsonl", question_rows(library, rows // 2, seed, language="ko"))
    library = write_documents(world, folder / "documents_ko", seed, language="ko")
    write_rows(folder / "questions_ko.jsonl", question_rows(library, rows // 2, seed))
    words = json.dumps(korean.dictionary(world), ensure_ascii=False, indent=1)
    (folder / "dictionary_ko.json").write_text(words + "\n", encoding="utf-8", newline="\n")
    beir.write_beir(beir.search(world, rows, seed), folder / "beir", seed)
    write_rows(folder / "sums.jsonl", sums.rows(world, rows, chance(seed, "sums")))
    write_rows(folder / "relevance.jsonl", judging.relevance_rows(world, rows, chance(seed, "relevance")))
    write_rows(folder / "queries.jsonl", judging.query_rows(world, rows, chance(seed, "queries")))
    write_rows(folder / "reviews.jsonl", reviews.reviews(world, rows, chance(seed, "reviews")))
    write_rows(folder / "instructions.jsonl", instructions.rows(rows, chance(seed, "instructions")))
    for name, judged in preferred(world, rows, seed):
        write_rows(folder / f"{name}.jsonl", judged)


def preferred(world: World, rows: int, seed: int) -> Iterator[tuple[str, list[Row]]]:
    """Pairs, thumbs and ranked lists of reviews and greetings, from somebody who likes politeness above all."""
    draw = chance(seed, "preferences")
    made = [*preferences.candidates(world, rows - rows // 2, draw, kind="review", size=CANDIDATES)]
    made += preferences.candidates(world, rows // 2, draw, kind="greeting", size=CANDIDATES)
    draw.shuffle(made)
    yield "pairs", preferences.pairs(made, LIKED, draw)
    yield "thumbs", preferences.thumbs(made, LIKED, draw)
    yield "lists", preferences.lists(made, LIKED, draw)


def chance(seed: int, what: str) -> random.Random:
    """Chance of its own for each file, so that one file's length does not change another."""
    return random.Random(f"{what} {seed}")
