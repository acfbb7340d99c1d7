"""Planted examples on disk, memory-mapped: tokenized once, larger than memory, read in any order."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from espalier import seeding
from espalier.contracts import Row
from espalier.trees.tree import Branch, Field, Ids, Tree

PARTS = {
    "ids": np.int32,
    "mask": np.bool_,
    "paths": np.int64,  # ends in ids
    "trees": np.int64,  # ends in paths
    "prompts": np.int64,  # a hash of each example's prompt
    "text": np.uint8,  # JSON: a tree's fields, and the row it came from
    "spans": np.int64,  # ends in text
}
DIGEST = "digest"  # a hash of all examples, in order


class StoreWriter:
    """Appends trees to a folder beside the final one, which appears only when everything is written.

    Several processes may write the same folder at once: the first to finish wins, and the others' work is the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.partial = folder, folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:12]}.partial")
        self.partial.mkdir(parents=True)
        self.digest = hashlib.sha256()
        self.files = {name: (self.partial / name).open("wb") for name in PARTS}
        self.tokens = self.paths = self.text = self.trees = 0
        for name in ("paths", "trees", "spans"):
            self._write(name, [0])

    def _write(self, name: str, values: Any) -> None:
        self.files[name].write(np.asarray(values, PARTS[name]).tobytes())

    def add(self, tree: Tree, row: Row | None = None) -> None:
        """Append one example, and the row it was planted from."""
        for path in tree.branches:
            self._write("ids", path.ids)
            self._write("mask", path.mask)
            self.tokens += len(path.ids)
            self._write("paths", [self.tokens])
            self.digest.update(path.ids.tobytes() + path.mask.tobytes() + b"path")
        self.paths += len(tree.branches)
        self.trees += 1
        self._write("trees", [self.paths])
        self._write("prompts", [prompt_hash(tree)])
        fields = {name: [np.asarray(f.values).tolist(), f.level, f.index] for name, f in tree.fields.items()}
        self.digest.update(json.dumps(fields, sort_keys=True).encode() + b"tree")
        content = [fields] if row is None else [fields, row, row.where]
        data = json.dumps(content, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
        self.files["text"].write(data)
        self.text += len(data)
        self._write("spans", [self.text])

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for file in self.files.values():
                file.close()
            if kind is None:
                (self.partial / DIGEST).write_text(self.digest.hexdigest(), encoding="ascii")
                self._publish()
        finally:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _publish(self) -> None:
        try:
            self.partial.rename(self.folder)
        except OSError:
            if not whole(self.folder):  # else another process was first
                raise


def whole(folder: Path) -> bool:
    """Whether a folder holds all that a StoreWriter wrote: files may get lost or cut."""
    try:
        parts = {name: _map(folder / name, kind) for name, kind in PARTS.items()}
        (folder / DIGEST).stat()
    except (OSError, ValueError):
        return False
    paths, trees, spans = parts["paths"], parts["trees"], parts["spans"]
    return bool(
        len(paths) and len(trees) and len(spans)
        and len(parts["ids"]) == len(parts["mask"]) == paths[-1]
        and len(paths) - 1 == trees[-1]
        and len(parts["text"]) == spans[-1]
        and len(parts["prompts"]) == len(trees) - 1 == len(spans) - 1
    )  # fmt: skip


class Store:
    """Examples by number, read from a folder that a StoreWriter wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = {name: _map(folder / name, kind) for name, kind in PARTS.items()}

    @property
    def digest(self) -> str:
        """A hash of all examples, in order."""
        return (self.folder / DIGEST).read_text(encoding="ascii")

    def __len__(self) -> int:
        return len(self.parts["trees"]) - 1

    def __getitem__(self, number: int) -> Tree:
        first, end = (int(n) for n in self.parts["trees"][number : number + 2])
        paths = []
        for a, b in zip(self.parts["paths"][first:end], self.parts["paths"][first + 1 : end + 1], strict=True):
            paths.append(Branch(np.array(self.parts["ids"][a:b]), np.array(self.parts["mask"][a:b])))
        fields = self._text(number)[0].items()
        return Tree(tuple(paths), {name: Field(torch.tensor(v), level, index) for name, (v, level, index) in fields})

    def ids(self, number: int) -> list[Ids]:
        """The token ids of an example's paths, without the rest of its tree. [L] each"""
        first, end = (int(n) for n in self.parts["trees"][number : number + 2])
        bounds = self.parts["paths"][first : end + 1]
        return [np.array(self.parts["ids"][a:b]) for a, b in pairwise(bounds)]

    def row(self, number: int) -> Row:
        """The row an example was planted from."""
        _, content, where = self._text(number)
        return Row(content, where)

    def _text(self, number: int) -> Any:
        a, b = (int(n) for n in self.parts["spans"][number : number + 2])
        return json.loads(self.parts["text"][a:b].tobytes().decode("utf-8", "surrogatepass"))

    @property
    def prompts(self) -> np.ndarray[Any, Any]:
        """A hash of each example's prompt: equal where the prompts are. [examples]"""
        return np.asarray(self.parts["prompts"])

    def __iter__(self) -> Iterator[Tree]:
        return (self[i] for i in range(len(self)))

    def tokens(self, number: int) -> int:
        """Tokens of an example's paths, shared ones counted as often as they stand."""
        first, end = self.parts["trees"][number : number + 2]
        return int(self.parts["paths"][end] - self.parts["paths"][first])


def prompt_hash(tree: Tree) -> int:
    """A hash of what stands before the first counted token; of the whole example where that is a BOS at most."""
    first = tree.branches[0]
    begin = int(first.counted[0]) if len(first.counted) else len(first.ids)
    data = first.ids[:begin].tobytes() if begin > 1 else b"".join(branch.ids.tobytes() for branch in tree.branches)
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little", signed=True)


def _map(file: Path, kind: Any) -> Any:
    return np.memmap(file, kind, "r") if file.stat().st_size else np.empty(0, kind)


class Order:
    """Which examples each optimizer step takes: a new permutation every epoch, all of it a function of the seed.

    Examples of one prompt follow each other, so that a batch computes it once; but no more of them at a time than a
    quarter of a batch, so that every batch has several prompts. Where no prompt comes twice this changes nothing.

    Args:
        numbers: the examples to train on, at least one.
        batch_size: examples per step over all ranks; an epoch's last step may have fewer.
        seed: of the permutations.
        prompts: a number for each example of the store, equal where prompts are; without, none is. [examples]
    """

    def __init__(
        self, numbers: np.ndarray[Any, Any], batch_size: int, seed: int, prompts: np.ndarray[Any, Any] | None = None
    ) -> None:
        self.numbers, self.batch_size, self.seed = np.asarray(numbers), batch_size, seed
        self.prompts, self.together = prompts, max(1, batch_size // 4)
        self.steps_per_epoch = -(-len(self.numbers) // batch_size)
        self._epoch = -1
        self._shuffled = self.numbers

    def batch(self, step: int) -> list[int]:
        """The examples of a step, counted from 0."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            chance = np.random.default_rng(seeding.derive(self.seed, "order", epoch))
            self._epoch, self._shuffled = epoch, self._gathered(chance.permutation(self.numbers))
        return [int(n) for n in self._shuffled[at * self.batch_size : (at + 1) * self.batch_size]]

    def _gathered(self, shuffled: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The same examples, those of a prompt moved up to the first of them, as many as may stand together."""
        if self.prompts is None or self.together < 2:
            return shuffled
        _, owner = np.unique(self.prompts[shuffled], return_inverse=True)
        by_prompt = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[by_prompt], np.arange(owner.max() + 1))
        place = np.empty_like(by_prompt)  # how many of its prompt stand before it
        place[by_prompt] = np.arange(len(owner)) - starts[owner[by_prompt]]
        chunk_first = by_prompt[starts[owner] + place - place % self.together]  # the first that it stands together with
        return shuffled[np.lexsort((place, chunk_first))]
