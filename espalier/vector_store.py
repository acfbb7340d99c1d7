"""Vectors of passages, kept in the index: in blocks, so that what is new is added and a stopped run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from espalier.contracts import Embedder
from espalier.embedding import TextEmbedder
from espalier.errors import ModelError
from espalier.knowledge.store import Store
from espalier.searching import Progress, as_hit, searched
from espalier.vectors import Graph, Rows, Vectors, recall_of

HEAD, BLOCK, GRAPH = "dense", "dense/vectors/{}", "dense/graph/{}"
PASSAGES = 256  # of a block, which is written when it is full
PART = 1 << 28  # bytes of a blob; SQLite takes no more than 10^9
SHOWN = 5


@dataclass
class Head:
    """What a store knows of its vectors."""

    embedder: str = ""  # as the user named it
    name: str = ""  # the embedder's own, with a digest of its weights
    about: str = ""
    dimension: int = 0
    storage: str = "float32"
    blocks: int = 0
    generation: int = -1  # of the passages when all had been embedded
    skipped: dict[str, str] = field(default_factory=dict)  # passages without a vector: number and place
    shortened: int = 0  # passages whose end the embedder did not read
    parts: int = 0  # of the graph
    linked: int = -1  # the generation of the graph
    recall: float = 0.0  # of the graph, at 10, against exact search
    efs: int = 0  # with which that was measured

    @classmethod
    def of(cls, store: Store) -> Head:
        """That of a store; one of nothing if it has none."""
        data = store.blob(HEAD)
        return cls() if data is None else cls(**json.loads(data))

    def put(self, store: Store) -> None:
        """Keep it."""
        store.put_blob(HEAD, json.dumps(asdict(self)).encode())

    def notes(self, passages: int) -> tuple[str, ...]:
        """What a user should know, a sentence each."""
        found = [f"{self.about} ({self.dimension} dimensions)"] if self.name else []
        if self.skipped:
            named, more = list(self.skipped.values())[:SHOWN], len(self.skipped) - SHOWN
            also = f" and {more:,} more" if more > 0 else ""
            found.append(f"no vector, so never found by it: {', '.join(named)}{also}")
        if self.shortened:
            longer = f"{min(self.shortened, passages):,} of {passages:,} passages are longer than it reads"
            found.append(f"{longer}: their ends are not searched")
        if self.parts and self.linked == self.generation:
            found.append(f"searched by a graph, which finds {self.recall:.1%} of the 10 nearest (efs {self.efs})")
        return tuple(found)


def embed_passages(store: Store, embedder: Embedder, spec: str, storage: str, progress: Progress) -> Head:
    """Give every passage a vector; those that have one of this embedder keep it.

    Args:
        store: the index; written block by block.
        embedder: makes the vectors.
        spec: what the user calls it.
        storage: float32 or float16.
        progress: told what is done.

    Raises:
        ModelError: the embedder refuses the collection, or none of it gets a vector.
    """
    head, generation = Head.of(store), store.generation
    if (head.name, head.storage) == (embedder.name, storage) and head.generation == generation:
        return head
    alive = np.array([passage.number for passage in store.passages()], np.int64)
    if isinstance(embedder, TextEmbedder):
        embedder.refuse(passage.text for passage in store.passages())
    if (head.name, head.storage) != (embedder.name, storage):
        head = _emptied(store, head)
        head.name, head.storage, head.about = embedder.name, storage, getattr(embedder, "about", "")
    head.embedder = spec
    known = _prune(store, head, alive)
    new = [int(number) for number in alive if int(number) not in known]
    for start in range(0, len(new), PASSAGES):
        _embed(store, head, embedder, new[start : start + PASSAGES])
        progress("embedding passages", min(start + PASSAGES, len(new)), len(new))
    if not head.dimension:
        raise ModelError(f"{spec} gives none of the {len(alive):,} passages a vector. Give another embedder.")
    if head.blocks > 16 + 2 * len(alive) // PASSAGES:  # many small additions
        numbers, vectors = load(store, head)
        _rewrite(store, head, numbers, vectors)
    head.generation = generation
    head.put(store)
    return head


def load(store: Store, head: Head) -> tuple[Rows, Vectors]:
    """The numbers of all passages that have a vector, ascending, and the vectors. [D], [D, H]"""
    blocks = [_block(store, head, place) for place in range(head.blocks)]
    total = sum(len(numbers) for numbers, _ in blocks)
    numbers, vectors = np.empty(total, np.int64), np.empty((total, head.dimension), np.float32)
    start = 0
    for own, values in blocks:
        numbers[start : start + len(own)], vectors[start : start + len(own)] = own, values
        start += len(own)
    if np.any(numbers[1:] < numbers[:-1]):
        order = np.argsort(numbers)
        numbers, vectors = numbers[order], vectors[order]
    return numbers, vectors


def keep_graph(store: Store, head: Head, efs: int, progress: Progress) -> None:
    """Bring the graph up to date with the vectors, and measure it."""
    if head.parts and head.linked == head.generation:
        return
    numbers, vectors = load(store, head)
    graph = _graph(store, head) or Graph(head.dimension)
    gone = np.setdiff1d(graph.numbers(), numbers)
    if len(gone) > len(graph) // 5:  # what is removed leaves holes
        graph, gone = Graph(head.dimension), gone[:0]
    graph.remove(gone)
    new = np.flatnonzero(~np.isin(numbers, graph.numbers()))
    for start in range(0, len(new), 8192):
        rows = new[start : start + 8192]
        graph.add(numbers[rows], vectors[rows])
        progress("linking vectors", start + len(rows), len(new))
    data = graph.to_bytes()
    with store.transaction():
        drop_graph(store, head)
        for place, start in enumerate(range(0, len(data), PART)):
            store.put_blob(GRAPH.format(place), data[start : start + PART])
            head.parts = place + 1
        head.linked, head.recall, head.efs = head.generation, recall_of(graph, numbers, vectors, efs=efs), efs
        head.put(store)


def load_graph(store: Store, head: Head) -> Graph | None:
    """The graph over the vectors, if there is one that is as new as they are."""
    return _graph(store, head) if head.linked == head.generation else None


def _graph(store: Store, head: Head) -> Graph | None:
    if not head.parts:
        return None
    return Graph(head.dimension, b"".join(store.blob(GRAPH.format(place)) or b"" for place in range(head.parts)))


def drop_graph(store: Store, head: Head) -> None:
    """Forget the graph."""
    for place in range(head.parts):
        store.put_blob(GRAPH.format(place), b"")
    head.parts = 0


def _embed(store: Store, head: Head, embedder: Embedder, numbers: Sequence[int]) -> None:
    """One block more, and with it what is known of the rest."""
    hits = [as_hit(store.passage(number)) for number in numbers]
    before = getattr(embedder, "shortened", 0)
    vectors = embedder.embed([searched(hit) for hit in hits])
    head.shortened += getattr(embedder, "shortened", 0) - before
    if head.dimension not in (0, vectors.shape[1]):
        raise ModelError(
            f"{head.name} gave vectors of {head.dimension} numbers before and of {vectors.shape[1]} now; if its model "
            "has changed, give it another name, or make the index anew."
        )
    good = is_usable(vectors, [hit.text for hit in hits])
    for number, hit, fine in zip(numbers, hits, good, strict=True):
        if not fine:
            head.skipped[str(number)] = f"{hit.document}, {hit.place or f'character {hit.start:,}'}"
    if good.any():
        head.dimension = vectors.shape[1]
    with store.transaction():
        _write(store, head, head.blocks, np.array(numbers, np.int64)[good], vectors[good])
        head.blocks += 1
        head.put(store)


def is_usable(vectors: Vectors, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which vectors have a direction, finite and not zero, of a text that is not empty. [texts]"""
    written = np.array([bool(text.strip()) for text in texts], bool)
    usable: npt.NDArray[np.bool_] = np.isfinite(vectors).all(1) & vectors.any(1) & written
    return usable


def _write(store: Store, head: Head, place: int, numbers: Rows, vectors: Vectors) -> None:
    store.put_blob(BLOCK.format(place), numbers.tobytes() + vectors.astype(head.storage).tobytes())


def _block(store: Store, head: Head, place: int) -> tuple[Rows, Any]:
    data = store.blob(BLOCK.format(place)) or b""
    count = len(data) // (8 + head.dimension * np.dtype(head.storage).itemsize)
    values = np.frombuffer(data, head.storage, offset=8 * count)
    return np.frombuffer(data, np.int64, count), values.reshape(count, head.dimension)


def _prune(store: Store, head: Head, alive: Rows) -> set[int]:
    """Forget vectors of passages that are gone; the numbers of those that need none any more."""
    known = {int(number) for number in head.skipped} & set(alive.tolist())
    head.skipped = {number: place for number, place in head.skipped.items() if int(number) in known}
    with store.transaction():
        for place in range(head.blocks):
            numbers, vectors = _block(store, head, place)
            left = np.isin(numbers, alive)
            if not left.all():
                numbers = numbers[left]
                _write(store, head, place, numbers, vectors[left])
            known.update(numbers.tolist())
        head.generation = -1
        head.put(store)
    return known


def _rewrite(store: Store, head: Head, numbers: Rows, vectors: Vectors) -> None:
    with store.transaction():
        blocks = head.blocks
        head.blocks = -(-len(numbers) // PASSAGES)
        for place in range(blocks):
            part = slice(place * PASSAGES, (place + 1) * PASSAGES)
            _write(store, head, place, numbers[part], vectors[part])
        head.put(store)


def _emptied(store: Store, head: Head) -> Head:
    """Forget all vectors."""
    with store.transaction():
        for place in range(head.blocks):
            store.put_blob(BLOCK.format(place), b"")
        drop_graph(store, head)
        made = Head()
        made.put(store)
    return made
