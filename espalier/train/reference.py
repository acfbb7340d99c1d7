"""The reference's log-probabilities, kept on disk: a sweep over objectives, learning rates or epochs pays once.

Keyed by what the numbers depend on: weights, adapter, compute dtype, layout, token ids and mask. A row of another
mixture, order or subset still hits.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.errors import RunError
from espalier.train.disk import full_disk
from espalier.trees.tree import Tree


def weights_key(model: nn.Module, *how: str) -> str:
    """A hash of everything a model's log-probabilities depend on, beside the tokens: weights, and how it computes."""
    digest = hashlib.sha256(f"{how} {getattr(model, 'active_adapter', None)}".encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tree_key(tree: Tree) -> bytes:
    """A hash of an example's token ids and masks."""
    digest = hashlib.sha256()
    for path in tree.branches:
        digest.update(len(path.ids).to_bytes(8, "little") + path.ids.tobytes() + path.mask.tobytes())
    return digest.digest()


def paid(past: Mapping[str, Any], rows: int, computed: int, seconds: float) -> dict[str, Any]:
    """What a run has spent on its reference, and had spent when it was interrupted; the rest was in the cache."""
    computed, seconds = past.get("computed", 0) + computed, round(past.get("seconds", 0.0) + seconds, 2)
    return {"rows": rows, "computed": computed, "seconds": seconds}


class ReferenceCache:
    """Per-token log-probabilities of examples under one model, in a SQLite file that several runs may share."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, bytes.fromhex(key)
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("CREATE TABLE IF NOT EXISTS logps (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def _id(self, tree: Tree) -> bytes:
        return hashlib.sha256(self.key + tree_key(tree)).digest()

    def get(self, tree: Tree) -> Tensor | None:
        """The log-probabilities of an example's counted tokens [tokens], or None."""
        with self._explained():
            query = "SELECT value FROM logps WHERE key = ?"
            found = self.connection.execute(query, (self._id(tree),)).fetchone()
        if found is None:
            return None
        kind = np.float64 if len(found[0]) == 8 * tree.counted else np.float32
        return torch.from_numpy(np.frombuffer(found[0], kind).copy())

    def put(self, trees: Sequence[Tree], values: Sequence[Tensor]) -> None:
        """Keep the log-probabilities of examples, all or none; what is there already stays, for a run has read it."""
        rows = [(self._id(tree), v.cpu().numpy().tobytes()) for tree, v in zip(trees, values, strict=True)]
        with self._explained(), self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT OR IGNORE INTO logps VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        remedy = "Free some space, name another place in ESPALIER_CACHE, or set reference = live."
        with full_disk(self.path, remedy):
            try:
                yield
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                raise RunError(
                    f"{self.path}: the cache of the reference's log-probabilities is damaged ({error}). Delete it; "
                    "it is computed again."
                ) from error
