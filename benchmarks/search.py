"""Indexing and searching many passages: our index beside bm25s alone, SQLite's FTS5 and tantivy.

ESPALIER_DATA=... python -m benchmarks.search                     100,000 passages, every side three times
ESPALIER_DATA=... python -m benchmarks.search --passages 10000    fewer

Each side runs in a process of its own, one after the other. Passages are cut from real books and encyclopedia entries;
a query is five words in a row of a passage. `index` writes texts and scores to the file that `espalier index` makes;
`bm25s` scores the same terms and keeps neither texts nor anything of where they stand.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import meter
from benchmarks.race import ROOT
from benchmarks.sprout import write

RESULTS = ROOT / "benchmarks/results/search.json"
PAGE = ROOT / "docs/search_measured.md"
SIDES = ("index", "bm25s", "bm25s, its own words", "FTS5", "tantivy")
SIZE, K, QUERIES = 700, 10, 300

Built = tuple[Callable[[str], int], int]  # a search that gives how much it found, and bytes on the disk


def texts(data: Path, count: int) -> list[tuple[str, list[str]]]:
    """Documents, each as its passages, so many in all."""
    from espalier.knowledge.chunks import cut

    found: list[tuple[str, list[str]]] = []
    left = count
    for name in ("factbook.jsonl.xz", "books_dev.jsonl.xz"):
        with lzma.open(data / "text" / name, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                if left <= 0:
                    return found
                text = row["text"]
                passages = [text[chunk.start : chunk.end] for chunk in cut(text, size=SIZE)][:left]
                found.append((f"{name}#{len(found)}", passages))
                left -= len(passages)
    return found


def queries(documents: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Five words in a row of passages drawn by chance."""
    chance = random.Random(0)
    words = [passage.split() for _, passages in documents for passage in passages]
    chosen = chance.choices([one for one in words if len(one) > 8], k=QUERIES)
    starts = [chance.randrange(len(one) - 5) for one in chosen]
    return [" ".join(one[start : start + 5]) for one, start in zip(chosen, starts, strict=True)]


def index(documents: Sequence[tuple[str, list[str]]], folder: Path) -> Built:
    """What `espalier index` keeps, made of passages that are cut already."""
    from espalier.knowledge.chunks import Chunk
    from espalier.knowledge.documents import Document
    from espalier.knowledge.store import Store
    from espalier.retrievers.bm25 import BM25

    store = Store.create(folder / "kb")
    with store.transaction():
        for name, passages in documents:
            chunks, start = [], 0
            for passage in passages:
                chunks.append(Chunk(start, start + len(passage), ""))
                start += len(passage) + 1
            store.stage(Document(name, "", "\n".join(passages)), name, chunks)
        store.publish({name: name for name, _ in documents})
    BM25().keep(store, lambda *_: None)
    found = BM25().open(store)
    return lambda query: len(found.search(query, K)), (folder / "kb").stat().st_size


def bm25s(documents: Sequence[tuple[str, list[str]]], folder: Path) -> Built:
    """bm25s with the terms of our analyzer."""
    import bm25s as engine

    from espalier.analysis import Analyzer

    analyzer, terms = Analyzer(), dict[str, int]()
    ids = [[terms.setdefault(term, len(terms)) for term in analyzer(text)] for _, part in documents for text in part]
    built = engine.BM25(k1=0.9, b=0.4)
    built.index((ids, terms), create_empty_token=False, show_progress=False)
    built.save(folder / "bm25s")

    def search(query: str) -> int:
        asked = [terms[term] for term in analyzer(analyzer.query(query)) if term in terms]
        return int(built.retrieve([asked], k=K, show_progress=False).documents.size)

    return search, _bytes(folder)


def bm25s_alone(documents: Sequence[tuple[str, list[str]]], folder: Path) -> Built:
    """bm25s with its own splitting into words, with stop words and stems."""
    import bm25s as engine
    import Stemmer

    stem, flat = Stemmer.Stemmer("porter"), [text for _, passages in documents for text in passages]
    built = engine.BM25(k1=0.9, b=0.4)
    built.index(engine.tokenize(flat, stopwords="en", stemmer=stem, show_progress=False), show_progress=False)
    built.save(folder / "bm25s")

    def search(query: str) -> int:
        asked = engine.tokenize([query], stopwords="en", stemmer=stem, show_progress=False)
        return int(built.retrieve(asked, k=K, show_progress=False).documents.size)

    return search, _bytes(folder)


def fts5(documents: Sequence[tuple[str, list[str]]], folder: Path) -> Built:
    """SQLite's own full-text index, which keeps the texts too."""
    database = sqlite3.connect(folder / "fts5")
    database.execute("CREATE VIRTUAL TABLE passages USING fts5(text, tokenize='porter unicode61')")
    database.executemany("INSERT INTO passages VALUES (?)", ((text,) for _, part in documents for text in part))
    database.commit()

    def search(query: str) -> int:
        words = " OR ".join('"' + word.replace('"', '""') + '"' for word in query.split())
        asked = "SELECT rowid, text FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?"
        return len(database.execute(asked, (words, K)).fetchall())

    return search, (folder / "fts5").stat().st_size


def tantivy(documents: Sequence[tuple[str, list[str]]], folder: Path) -> Built:
    """tantivy with English stems, one thread, the texts stored."""
    import tantivy as engine

    schema = engine.SchemaBuilder().add_text_field("text", stored=True, tokenizer_name="en_stem").build()
    (folder / "tantivy").mkdir()
    built = engine.Index(schema, str(folder / "tantivy"))
    writer = built.writer(heap_size=128_000_000, num_threads=1)
    for _, passages in documents:
        for text in passages:
            writer.add_document(engine.Document(text=text))
    writer.commit()
    writer.wait_merging_threads()
    built.reload()
    searcher = built.searcher()

    def search(query: str) -> int:
        words = "".join(char if char.isalnum() else " " for char in query)
        hits = searcher.search(built.parse_query(words, ["text"]), K).hits
        return len([searcher.doc(address)["text"] for _, address in hits])

    return search, _bytes(folder)


MAKE = dict(zip(SIDES, (index, bm25s, bm25s_alone, fts5, tantivy), strict=True))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measured(side: str, data: Path, count: int) -> dict[str, float]:
    """One side once: seconds to build, milliseconds a query, megabytes on the disk."""
    documents = texts(data, count)
    asked = queries(documents)
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        search, size = MAKE[side](documents, Path(folder))
        build, build_cpu = time.perf_counter() - clock, time.process_time() - processor
        search(asked[0])
        clock, processor = time.perf_counter(), time.process_time()
        found = sum(map(search, asked))
        each, each_cpu = (time.perf_counter() - clock), (time.process_time() - processor)
    return {
        "passages": sum(len(passages) for _, passages in documents), "build": build, "build_cpu": build_cpu,
        "query_ms": each / len(asked) * 1e3, "query_cpu_ms": each_cpu / len(asked) * 1e3, "megabytes": size / 1e6,
        "found": found / len(asked),
    }  # fmt: skip


def median(runs: Sequence[dict[str, float]], name: str) -> float:
    """The median of a figure."""
    return statistics.median(run[name] for run in runs)


def page(record: dict[str, Any]) -> str:
    """The figures as a table, and what our index costs over bm25s alone."""
    machine, runs = record["machine"], record["runs"]
    base = runs["bm25s"]
    lines = [
        "# How fast documents are indexed and searched",
        "",
        f"Written by `python -m benchmarks.search`, {machine['date']}, {machine['cpu']}, one thread, median of "
        f"{len(base)} runs; load average {machine['load']}. {int(base[0]['passages']):,} passages of at most {SIZE} "
        f"characters from real books and encyclopedia entries, {QUERIES} queries of five words, the best {K}.",
        "",
        "| | build, s | processor, s | a query, ms | processor, ms | on the disk, MB | keeps the texts |",
        "|---|---|---|---|---|---|---|",
    ]
    for side in SIDES:
        cells = [f"{median(runs[side], name):.2f}" for name in ("build", "build_cpu", "query_ms", "query_cpu_ms")]
        kept = "no" if side.startswith("bm25s") else "yes"
        lines.append(f"| {side} | {' | '.join(cells)} | {median(runs[side], 'megabytes'):.0f} | {kept} |")
    ratios = [median(runs["index"], name) / median(base, name) for name in ("build_cpu", "query_cpu_ms")]
    lines += [
        "",
        f"`index` is Espalier's: over bm25s with the same terms, building takes {ratios[0]:.2f} times the processor's "
        f"time and a query {ratios[1]:.2f} times.",
    ]
    return "\n".join((*lines, ""))


def main() -> None:
    """Measure every side, keep the record, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="measure this one here and print it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    if not (data := os.environ.get("ESPALIER_DATA")):
        sys.exit("set ESPALIER_DATA to the folder that holds text/books_dev.jsonl.xz.")
    if options.side:
        print(json.dumps(measured(options.side, Path(data), options.passages)))
        return
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    machine = meter.machine()
    for _ in range(options.rounds):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.search", "--side", side, "--passages", str(options.passages)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
            runs[side].append(json.loads(done.stdout.splitlines()[-1]))
            print(side, runs[side][-1], flush=True)
    record = {"machine": machine | meter.load(), "runs": runs}
    write(options.out, json.dumps(record, indent=1) + "\n")
    write(options.page, page(record))


if __name__ == "__main__":
    main()
