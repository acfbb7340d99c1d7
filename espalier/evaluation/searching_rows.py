"""Questions read: rows with answers and gold passages, a folder of BEIR, or TREC's topics with their qrels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError
from espalier.evaluation.cases import fingerprint
from espalier.evaluation.questions import Gold, accepted, gold_of, is_question
from espalier.evaluation.searching import Question, Wanted, names_of
from espalier.formats.beir import is_beir, read_beir
from espalier.formats.trec import Judged, read_qrels, read_topics
from espalier.knowledge.store import Store
from espalier.maths.scripts import language

SAMPLE = 2000  # characters of a document by which its language is told


def read_questions(
    source: str,
    store: Store,
    *,
    qrels: Path | None = None,
    split: str | None = None,
    columns: str | None = None,
    limit: int | None = None,
) -> tuple[list[Question], dict[str, int]]:
    """The questions, and how many rows were left out for which reason.

    Args:
        source: rows, a folder of BEIR, or a file of topics.
        store: the index, whose documents tell the language that an answer stands in.
        qrels: the judgments of the topics.
        split: which judgments of BEIR's folder.
        columns: which column of rows is which field.
        limit: at most so many.

    Raises:
        RowError: nothing can be read, or no judged document is one of the index.
    """
    if qrels is not None:
        return _judged(read_topics(Path(source)), read_qrels(qrels), store, limit, qrels.name), {}
    if is_beir(Path(source)):
        found = read_beir(Path(source), split)
        return _judged(found.queries, found.qrels, store, limit, f"qrels/{found.split}.tsv"), {}
    if split is not None:
        raise RecipeError(f"--split is about a folder of BEIR, and {source} is none.")
    return _rows(source, store, columns, limit)


def _rows(source: str, store: Store, columns: str | None, limit: int | None) -> tuple[list[Question], dict[str, int]]:
    from espalier.rows import read

    rows = read(source, columns=columns, limit=limit)
    left_out: Counter[str] = Counter()
    found: dict[str, Question] = {}
    for row in rows:
        if not is_question(row):
            left_out["no question with answers"] += 1
            continue
        question = _question(row, store)
        if question.id in found:
            left_out["the same question, or its id, a second time"] += 1
            continue
        found[question.id] = question
    left_out.update(f"{one.reason}" for one in rows.dropped)
    if not found:
        raise RowError(f"{source} holds no question with answers; rows need 'question' and 'answers'.")
    return list(found.values()), dict(left_out)


def _question(row: Row, store: Store) -> Question:
    wanted = tuple(_wanted(gold, store) for gold in gold_of(row))
    asked = str(row["question"])
    said, known = _code(row, "lang", "language"), _code(row, "gold_lang", "gold_language")
    held = next((one.text or _text(store, one.id) for one in wanted), "")[:SAMPLE]
    spoken = said or language(asked)
    if not known and held:  # by the script alone, which does not tell English from Indonesian
        known = spoken if language(held) == language(asked) else language(held)
    identity = next((str(row[name]) for name in ("id", "_id", "qid") if row.get(name) not in (None, "")), "")
    return Question(identity or fingerprint(row), asked, wanted, accepted(row), spoken, known)


def _wanted(gold: Gold, store: Store) -> Wanted:
    """By its text, if that is a passage of the index's own documents; else by the document that it names."""
    whole = _text(store, gold.id) if gold.id and gold.text else ""
    told_elsewhere = whole and " ".join(gold.text.split()) not in " ".join(whole.split())
    return Wanted(gold.id) if told_elsewhere or not gold.text else Wanted(text=gold.text)


def _code(row: Mapping[str, Any], *names: str) -> str:
    return next((str(row[name]).strip() for name in names if isinstance(row.get(name), str)), "")


def _text(store: Store, name: str) -> str:
    """The text of the document that a judgment names, if it is one of the index."""
    try:
        return store.text(name)
    except RuntimeError:
        return ""


def _judged(queries: Mapping[str, str], qrels: Judged, store: Store, limit: int | None, name: str) -> list[Question]:
    known = {alias for document in store.documents() for alias in names_of(document)}
    asked = [query for query in queries if query in qrels][:limit]
    if not asked:
        raise RowError(f"{name} judges none of the {len(queries):,} queries; are the ids the same in both?")
    graded = {document for query in asked for document, grade in qrels[query].items() if grade > 0}
    if not graded & known:
        raise RowError(
            f"{name}: none of its {len(graded):,} relevant documents is in {store.path}. Index the collection itself, "
            "so that a document's id is its name, or that of its row."
        )
    return list(_asked(asked, queries, qrels))


def _asked(asked: list[str], queries: Mapping[str, str], qrels: Judged) -> Iterator[Question]:
    for query in asked:
        wanted = tuple(Wanted(document, grade=grade) for document, grade in qrels[query].items())
        yield Question(query, queries[query], wanted, None, language(queries[query]))
