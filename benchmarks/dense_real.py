"""BM25, vectors and both on real documents: `ESPALIER_DATA=... python -m benchmarks.dense_real [--embedder NAME]`.

Cranfield's 225 queries, and our questions on the factbook's country texts: benchmarks/results/dense_real.json.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.race import ROOT
from benchmarks.retrieval_real import K, questions, searched
from espalier.contracts import Hit, Retriever
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.maths.intervals import bootstrap, wilson
from espalier.maths.ranking import ndcg, recall
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.dense import Dense

RESULTS = ROOT / "benchmarks/results/dense_real.json"


def read(file: Path) -> str:
    """The text of a compressed file."""
    with lzma.open(file, "rt", encoding="utf-8") as opened:
        return opened.read()


def cranfield(folder: Path) -> tuple[list[Hit], dict[str, str], dict[str, dict[str, float]]]:
    """Documents, queries by number, and grades by query and document."""
    parts = r"^\.I (\d+)\n\.T\n(.*?)^\.A\n.*?^\.W\n(.*?)(?=^\.I|\Z)"
    found = re.findall(parts, read(folder / "cran.all.1400.xz"), re.M | re.S)
    queries = [part.partition(".W\n")[2] for part in read(folder / "cran.qry.xz").split(".I ")[1:]]
    qrels: dict[str, dict[str, float]] = {}
    for line in read(folder / "cranqrel.xz").splitlines():
        query, document, code = line.split()[:3]
        qrels.setdefault(query, {})[document] = 5.0 - abs(int(code))  # 1 is a complete answer, 4 of minimum interest
    documents = [Hit(number, 0.0, text, title) for number, title, text in found]
    return documents, {str(number): query for number, query in enumerate(queries, 1)}, qrels


def graded(retriever: Retriever, queries: dict[str, str], qrels: dict[str, dict[str, float]]) -> dict[str, Any]:
    """nDCG at 10 and recall at 100, with intervals over queries."""
    found = {number: [hit.document for hit in retriever.search(queries[number], 100)] for number in qrels}
    gains = [ndcg(found[number], qrels[number], 10) for number in qrels]
    shares = [recall(found[number], qrels[number], 100) for number in qrels]
    return {"ndcg_at_10": interval(gains), "recall_at_100": interval(shares)}


def interval(values: Sequence[float]) -> list[float]:
    """A mean and its bounds at 95 %."""
    found = bootstrap(values)
    return [found.value, found.low, found.high]


def answered(retriever: Retriever, data: Path) -> dict[str, Any]:
    """Share of our questions whose document, and whose answer, is among the first K."""
    rows = map(json.loads, read(data).splitlines())
    names = {row["name"]: f"{data.name}#{row['id']}" for row in rows}
    found = searched(retriever, questions("factbook"), names)
    made = {}
    for what, ranks in (
        ("document", [one.document_rank for one in found]),
        ("answer", [one.answer_rank for one in found]),
    ):
        share = wilson(sum(map(bool, ranks)), len(ranks))
        made[f"{what}_at_{K}"] = [share.value, share.low, share.high]
    return made


def main() -> None:
    """Measure both collections."""
    parser = argparse.ArgumentParser(description="Vectors on real documents.")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--only", choices=["cranfield", "factbook"])
    asked = parser.parse_args()
    if not (given := os.environ.get("ESPALIER_DATA")):
        sys.exit("set ESPALIER_DATA to the folder that holds retrieval/cranfield and text/factbook.jsonl.xz.")
    data, made = Path(given), json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found = made.setdefault(asked.embedder, {})
    if asked.only != "factbook":
        documents, queries, qrels = cranfield(data / "retrieval/cranfield")
        began = time.monotonic()
        dense = Dense(asked.embedder).index(documents)
        found["cranfield"] = {
            "bm25": graded(BM25().index(documents), queries, qrels), "dense": graded(dense, queries, qrels),
            "seconds": time.monotonic() - began,
        }  # fmt: skip
        RESULTS.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(found["cranfield"], indent=2), flush=True)
    if asked.only != "cranfield":
        factbook = data / "text/factbook.jsonl.xz"
        with tempfile.TemporaryDirectory() as folder:
            kb, began = Path(folder) / "world.kb", time.monotonic()
            index(factbook, kb)
            with Store.open(kb) as store:
                Dense(asked.embedder).keep(store, lambda *_: None)
                found["factbook"] = {
                    "bm25": answered(BM25().open(store), factbook), "dense": answered(Dense().open(store), factbook),
                    "passages": len(store), "seconds": time.monotonic() - began,
                }  # fmt: skip
        RESULTS.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(found["factbook"], indent=2))


if __name__ == "__main__":
    main()
