"""Search real documents, and write docs/retrieval_measured.md: `ESPALIER_DATA=... python -m benchmarks.retrieval_real`.

The factbook's country texts come from $ESPALIER_DATA, the Korean ones and all questions from tests/data.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import sys
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.race import ROOT
from benchmarks.sprout import write
from espalier.contracts import Hit, Retriever
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.lexical import LexicalIndex
from espalier.maths.intervals import wilson

DATA = ROOT / "tests/data"
PAGE = ROOT / "docs/retrieval_measured.md"
K = 5
CP949, NFD = "등산-코스.md", "텃밭-일기.md"  # the file written in cp949, and the one whose name is decomposed
SHOWN = 160  # characters of a passage

INTRODUCTION = f"""# Search on real documents

Written by `python -m benchmarks.retrieval_real`. `espalier index` with its defaults (passages of at most 700
characters, BM25, no model); 20 questions on each collection, written from the documents before anything was searched.
*Document found*: a passage of the right document is among the first {K}; *answer shown*: one of them holds the answer
as that document words it. Brackets hold Wilson's 95 % interval.

The Korean collection is small, so that little stands in the way of the right passage; one of its files is in cp949, and
the name of another is decomposed (NFD).
"""


@dataclass(frozen=True)
class Found:
    """A question, and what the search showed for it."""

    question: str
    document: str
    document_rank: int  # 0: not among the first K
    answer_rank: int
    passage: str  # the passage with the answer, or the first


def questions(name: str) -> list[tuple[str, str, str]]:
    """Question, document and words of the answer."""
    lines = (DATA / name / "questions.tsv").read_text(encoding="utf-8").splitlines()
    return [(asked, document, answer) for asked, document, answer in (line.split("\t") for line in lines)]


def korean(folder: Path) -> None:
    """Write the Korean documents, one of them in cp949 and one under a decomposed name."""
    folder.mkdir(parents=True)
    for file in sorted((DATA / "korean").glob("*.md")):
        text, name = file.read_text(encoding="utf-8"), unicodedata.normalize("NFC", file.name)
        stored = unicodedata.normalize("NFD", name) if name == NFD else name
        (folder / stored).write_bytes(text.encode("cp949" if name == CP949 else "utf-8"))


def searched(retriever: Retriever, asked: Sequence[tuple[str, str, str]], names: Mapping[str, str]) -> list[Found]:
    """What the search shows for each question.

    Args:
        retriever: the index.
        asked: question, document and words of the answer.
        names: what the index calls each document.
    """
    found = []
    for question, document, answer in asked:
        hits = retriever.search(question, K)
        wanted = names.get(document, document)
        right = [hit.document == wanted for hit in hits]
        holds = [same and answer in " ".join(hit.text.split()) for same, hit in zip(right, hits, strict=True)]
        shown = hits[holds.index(True)] if any(holds) else hits[0] if hits else Hit("", 0.0)
        found.append(Found(question, document, _rank(right), _rank(holds), around(shown.text, answer)))
    return found


def _rank(flags: Sequence[bool]) -> int:
    return flags.index(True) + 1 if True in flags else 0


def around(text: str, answer: str) -> str:
    """A stretch of a text, with the words of the answer if it has them."""
    text = " ".join(text.split())
    start = max(0, text.find(answer) - SHOWN // 2)
    cut = text[start : start + SHOWN]
    return f"{'... ' * bool(start)}{cut}{' ...' * (start + SHOWN < len(text))}"


def collection(
    source: Path, kb: Path, asked: Sequence[tuple[str, str, str]], names: Mapping[str, str]
) -> dict[str, Any]:
    """A collection indexed and searched."""
    made = index(source, kb)
    with Store.open(kb) as store:
        found = searched(LexicalIndex.open(store), asked, names)
        documents = len(store.documents())
    about = {"documents": documents, "passages": made.synced.passages}
    notes = {name: list(said) for name, said in made.synced.notes.items()}
    return about | {"notes": notes, "failed": made.synced.failed, "found": [asdict(one) for one in found]}


def section(name: str, made: Mapping[str, Any]) -> str:
    """A collection's figures and what was shown."""
    found, n = made["found"], len(made["found"])
    lines = [
        f"## {name}",
        "",
        f"{made['documents']} documents, {made['passages']:,} passages.",
        "",
    ]
    for what, key in (("Document found", "document_rank"), ("Answer shown", "answer_rank")):
        for k in (1, K):
            share = wilson(sum(0 < one[key] <= k for one in found), n)
            place = "first" if k == 1 else f"among the first {k}"
            lines.append(f"- {what} {place}: {share.value:.2f} [{share.low:.2f}, {share.high:.2f}], n = {n}")
    lines += [f"- {name}: {', '.join(said)}" for name, said in made["notes"].items()]
    lines += [f"- not read: {sentence}" for sentence in made["failed"].values()]
    lines += ["", "| question | document | its rank | the answer's rank | passage shown |", "|---|---|---|---|---|"]
    for one in found:
        ranks = [str(one[key] or f"beyond {K}") for key in ("document_rank", "answer_rank")]
        cells = [one["question"], one["document"], *ranks, one["passage"].replace("|", "\\|")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Index, search, write the page."""
    argparse.ArgumentParser(description="Search real documents.").parse_args()
    if not (data := os.environ.get("ESPALIER_DATA")):
        sys.exit("set ESPALIER_DATA to the folder that holds text/factbook.jsonl.xz.")
    factbook = Path(data) / "text/factbook.jsonl.xz"
    with lzma.open(factbook, "rt", encoding="utf-8") as file:
        countries = {row["name"]: f"{factbook.name}#{row['id']}" for row in map(json.loads, file)}
    with tempfile.TemporaryDirectory() as made:
        here = Path(made)
        korean(here / "korean")
        world = collection(factbook, here / "world.kb", questions("factbook"), countries)
        home = collection(here / "korean", here / "korean.kb", questions("korean"), {})
    parts = (
        INTRODUCTION,
        section("The factbook's countries", world),
        "",
        section("Korean notes of everyday life", home),
    )
    write(PAGE, "\n".join((*parts, "")))


if __name__ == "__main__":
    main()
