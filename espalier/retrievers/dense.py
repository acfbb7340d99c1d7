"""Dense retrieval (Karpukhin et al., 2020), arXiv:2004.04906, with any embedder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from espalier.catalogue import method
from espalier.contracts import Embedder, Hit
from espalier.dense import DenseIndex
from espalier.embedding import DEFAULT, TextEmbedder, open_embedder
from espalier.errors import RecipeError, RunError
from espalier.knowledge.store import Store
from espalier.searching import Progress, again, as_hit, lacking, searched, stale
from espalier.vector_store import Head, drop_graph, embed_passages, is_usable, keep_graph, load, load_graph

log = logging.getLogger(__name__)


@method(paper="arXiv:2004.04906")
@dataclass(frozen=True)
class Dense:
    """Rank passages by the cosine of their vector and the query's, both of one embedder.

    Inputs: passages with text and perhaps a title, which is embedded with the text. What has no vector (empty text, or
    one that is not finite) is never found, and is named.
    Relations: bm25 asks for the words themselves; hybrid joins both rankings.
    Departs from the paper: one embedder for queries and passages, which may differ in their prefix; cosine.
    """

    embedder: str | Embedder = ""  # minilm, a folder or hub id, http://...:MODEL; empty: the index's own, minilm if new
    ann: Literal["auto", "exact", "hnsw"] = "auto"  # how the nearest are found; auto takes a graph where many
    ann_from: int = 200_000  # passages that are many
    efs: int = 128  # passages that a search of the graph holds; more find more, and take longer
    storage: Literal["float32", "float16"] = "float32"  # of the vectors in the index

    def __post_init__(self) -> None:
        if self.efs < 1 or self.ann_from < 1:
            raise RecipeError(f"retrievers/dense: efs is {self.efs} and ann_from {self.ann_from}; both are at least 1.")

    def index(self, documents: Sequence[Hit]) -> DenseIndex:
        """The documents (their scores do not matter), ready to be searched."""
        embedder = self._opened(DEFAULT)
        if isinstance(embedder, TextEmbedder):
            embedder.refuse(hit.text for hit in documents)
        vectors = embedder.embed([searched(hit) for hit in documents])
        good = is_usable(vectors, [hit.text for hit in documents])
        kept = [hit for hit, fine in zip(documents, good, strict=True) if fine]
        if len(kept) < len(documents):
            names = ", ".join(hit.document for hit, fine in zip(documents, good, strict=True) if not fine)
            log.warning("no vector, so never found by it: %s", names[:300])
        return DenseIndex(vectors[good], kept.__getitem__, embedder)

    def keep(self, store: Store, progress: Progress) -> None:
        """Embed the passages that have no vector of this embedder; the rest stays as it is."""
        spec = Head.of(store).embedder or DEFAULT
        embedder = self._opened(spec)
        name = (self.embedder or spec) if isinstance(self.embedder, str) else embedder.name
        if (folder := Path(name).expanduser()).is_dir():  # which has to be found from elsewhere too
            name = str(folder.resolve())
        head = embed_passages(store, embedder, name, self.storage, progress)
        if self.ann == "hnsw" or (self.ann == "auto" and len(store) >= self.ann_from):
            keep_graph(store, head, self.efs, progress)
        elif head.parts:
            drop_graph(store, head)
            head.put(store)

    def open(self, store: Store) -> DenseIndex:
        """What the store keeps.

        Raises:
            RunError: there are no vectors, they are older than the passages, or another embedder made them.
        """
        with store.snapshot():
            head = Head.of(store)
            if not head.name:
                raise lacking(store, "dense")
            if head.generation != store.generation:
                raise stale(store)
            numbers, vectors = load(store, head)
            graph = load_graph(store, head) if self.ann != "exact" else None
        embedder = self._opened(head.embedder)
        if embedder.name != head.name:
            raise RunError(
                f"{store.path} has vectors of {head.name}, and {embedder.name} is to search them: their numbers do not "
                f"compare. Search with the embedder {head.embedder}, or index with the other. {again(store)}"
            )
        if self.ann == "hnsw" and graph is None:
            raise RunError(f"{store.path} has no graph for ann = 'hnsw'; search with ann = 'exact'. {again(store)}")
        return DenseIndex(
            vectors, lambda row: as_hit(store.passage(int(numbers[row]))), embedder,
            graph=graph, numbers=numbers, efs=self.efs,
        )  # fmt: skip

    def notes(self, store: Store) -> tuple[str, ...]:
        """What the user of an index should know of its vectors: prefixes, what has none, how sure the graph is."""
        return Head.of(store).notes(len(store))

    def _opened(self, default: str) -> Embedder:
        if isinstance(self.embedder, str):
            return open_embedder(self.embedder or default)
        return self.embedder
