"""Exact search against the product alone, and a graph against exact search: `python -m benchmarks.vectors`."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.race import ROOT
from espalier.vectors import Graph, nearest, recall_of

RESULTS = ROOT / "benchmarks/results/vectors.json"
K, EFS = 10, 128


def milliseconds(ask: Callable[[], object], times: int) -> float:
    """The median of some repetitions."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return 1e3 * statistics.median(found)


def drawn(count: int, dimension: int, seed: int = 0) -> Any:
    """Vectors of length 1 around a tenth as many centers: text is no even cloud, and a graph is not asked to be."""
    chance = np.random.default_rng(seed)
    centers = chance.standard_normal((max(1, count // 10), dimension), np.float32)
    vectors = centers[chance.integers(len(centers), size=count)]
    vectors += 0.7 * chance.standard_normal((count, dimension), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def exact(vectors: Any, queries: Any, times: int) -> dict[str, float]:
    """One query at a time, and all at once."""
    one = queries[:1]
    product = milliseconds(lambda: vectors @ one[0], times)
    search = milliseconds(lambda: nearest(vectors, one, K), times)
    products = milliseconds(lambda: queries @ vectors.T, max(1, times // 10))
    searches = milliseconds(lambda: nearest(vectors, queries, K), max(1, times // 10))
    return {
        "product_ms": product, "search_ms": search, "ratio": search / product,
        "batch": len(queries), "batch_product_ms": products, "batch_search_ms": searches,
        "batch_ratio": searches / products,
    }  # fmt: skip


def graph(vectors: Any, queries: Any, times: int) -> dict[str, float]:
    """Build, size, search, recall."""
    numbers, made, began = np.arange(len(vectors)), Graph(vectors.shape[1]), time.perf_counter()
    made.add(numbers, vectors)
    built = time.perf_counter() - began
    return {
        "build_s": built, "megabytes": len(made.to_bytes()) / 1e6, "efs": EFS,
        "search_ms": milliseconds(lambda: made.search(queries[0], K, EFS), times),
        "recall_at_10": recall_of(made, numbers, vectors, efs=EFS),
    }  # fmt: skip


def main() -> None:
    """Measure, and write benchmarks/results/vectors.json."""
    parser = argparse.ArgumentParser(description="Search over vectors.")
    parser.add_argument("--count", type=int, default=100_000, help="vectors")
    parser.add_argument("--dimension", type=int, default=384, help="numbers of each")
    parser.add_argument("--graph", type=int, default=20_000, help="vectors of the graph; 0: none")
    parser.add_argument("--times", type=int, default=50, help="repetitions")
    asked = parser.parse_args()
    vectors = drawn(asked.count, asked.dimension)
    queries = drawn(64, asked.dimension, seed=1)
    found = {"count": asked.count, "dimension": asked.dimension, "exact": exact(vectors, queries, asked.times)}
    if asked.graph:
        found["graph"] = {"count": asked.graph, **graph(vectors[: asked.graph], queries, asked.times)}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
