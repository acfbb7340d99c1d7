"""The audit: what the data is, row by row, before any weight is loaded; and the planted rows a run trains on.

Every row that is left out is counted with its reason. Data that would train nothing, or the wrong tokens, is refused.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espalier import personal, seeding
from espalier.contracts import Row
from espalier.errors import RowError
from espalier.maths.scripts import script
from espalier.render import Renderer
from espalier.train.disk import full_disk
from espalier.train.reference import tree_key
from espalier.train.store import Store, StoreWriter, whole
from espalier.trees.tree import Branch, Tree, grow

WARN, STOP = 0.02, 0.20  # share of dropped rows
LONG = "too long"


@dataclass
class Audit:
    """What was found in the rows of a run."""

    detected: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)  # rows kept of each source, held-back sources last
    read: int = 0
    kept: int = 0
    held: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # by reason
    where: dict[str, list[str]] = field(default_factory=dict)  # by reason, up to three places
    lengths: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # p50, p95, max in tokens, long rows too
    languages: dict[str, float] = field(default_factory=dict)  # share of rows by script
    ended: float = 0.0  # share of targets that end in an end-of-turn token
    double_bos: int = 0
    personal: dict[str, int] = field(default_factory=dict)
    shared: float = 1.0  # tokens of all rows over tokens computed
    max_tokens: int = 0
    context: int = 0  # tokens the model was made for
    fitting: int = 0  # smallest limit that keeps 98 % of the rows
    shown: list[tuple[str, bool]] = field(default_factory=list)
    shown_where: str = ""
    warnings: list[str] = field(default_factory=list)
    settings: str = ""  # what the run takes from its objective's preset

    def refuse(self, *, accept_dropped: bool) -> None:
        """Raise where the data cannot be trained on as it is.

        Raises:
            RowError: nothing is left; too much was dropped; targets have no end.
        """
        gone = sum(self.dropped.values())
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(self.dropped.items(), key=lambda item: -item[1]))
        example = next(iter(self.where.values()), [""])[0]
        if not self.kept:
            raise RowError(
                f"none of the {self.read} rows can be trained on ({reasons}). First: {example}.{self._remedy()}"
            )
        if gone > STOP * self.read and not accept_dropped:
            raise RowError(
                f"{gone} of {self.read} rows ({gone / self.read:.0%}) would be dropped ({reasons}). First: {example}."
                f"{self._remedy()} Or go on without them: --accept-dropped."
            )

    def _remedy(self) -> str:
        if self.dropped.get(LONG, 0) <= WARN * self.read:
            return ""
        if self.fitting > self.context:
            return f" 98 % of the rows fit into {self.fitting} tokens, more than the model's context of {self.context}."
        return f" The limit is {self.max_tokens} tokens; max_tokens = {self.fitting} keeps 98 % of the rows."


@dataclass
class _Reading:
    """One pass over the rows: what the audit counts while trees are written."""

    audit: Audit
    objective: Any
    render: Renderer
    seen: set[bytes] = field(default_factory=set)
    sizes: dict[str, list[int]] = field(default_factory=lambda: {"row": [], "prompt": [], "target": []})
    languages: Counter[str] = field(default_factory=Counter)
    personal: Counter[str] = field(default_factory=Counter)
    targets: int = 0
    ends: int = 0
    computed: int = 0
    unshared: int = 0

    def drop(self, reason: str, where: str) -> None:
        """Count a row that is left out."""
        self.audit.dropped[reason] = self.audit.dropped.get(reason, 0) + 1
        places = self.audit.where.setdefault(reason, [])
        if len(places) < 3:
            places.append(where)

    def trees(self, rows: Iterable[Row]) -> Iterator[tuple[Row, Tree]]:
        """The rows that can be trained on, planted."""
        for row in rows:
            try:
                tree = self.objective.plant(row, self.render)
            except RowError as error:
                self.drop(str(error).partition(";")[0].partition(":")[0], f"{row.where}: {error}")
                continue
            reason = self._reason(row, tree)
            if reason:
                self.drop(reason, row.where)
                continue
            self._count(row, tree)
            yield row, tree

    def _reason(self, row: Row, tree: Tree) -> str | None:
        """Why a planted row is left out, if it is."""
        self.sizes["row"].append(tree.longest)
        if any(_empty(branch, self.render) for branch in tree.branches):
            return "empty target"
        prompt, completion = row.get("prompt"), row.get("completion")
        if isinstance(prompt, str) and prompt.strip() and prompt == completion:
            return "prompt and completion are the same"
        if tree.longest > self.audit.max_tokens:
            return LONG
        key = tree_key(tree)
        if key in self.seen:
            return "duplicate"
        self.seen.add(key)
        return None

    def _count(self, row: Row, tree: Tree) -> None:
        for branch in tree.branches:
            counted = branch.counted
            self.sizes["prompt"].append(int(counted[0]))
            self.sizes["target"].append(len(counted))
            self.targets += 1
            self.ends += int(branch.ids[counted[-1]]) in self.render.stop_ids
            self.unshared += len(branch.ids)
            bos = self.render.bos_id
            self.audit.double_bos += bos is not None and branch.ids[:2].tolist() == [bos, bos]
        self.computed += _shared_tokens(tree)
        text = " ".join(_texts(row))
        self.languages[script(text) or "none"] += 1
        self.personal.update(personal.count(text))
        if not self.audit.shown:
            branch = tree.branches[0]
            self.audit.shown, self.audit.shown_where = self.render.pieces(branch), row.where  # type: ignore[arg-type]

    def finish(self, kept: int) -> None:
        """Write the sums into the audit."""
        audit = self.audit
        audit.kept = kept
        audit.read = kept + sum(audit.dropped.values())
        audit.lengths = {name: _quantiles(sizes) for name, sizes in self.sizes.items() if sizes}
        if self.sizes["row"]:
            audit.fitting = int(np.quantile(self.sizes["row"], 0.98, method="higher"))
        total = max(1, sum(self.languages.values()))
        audit.languages = {name: n / total for name, n in self.languages.most_common()}
        audit.personal = dict(self.personal)
        audit.ended = self.ends / max(1, self.targets)
        audit.shared = self.unshared / max(1, self.computed)
        audit.warnings += _warnings(audit)


def _warnings(audit: Audit) -> list[str]:
    found = []
    gone = sum(audit.dropped.values())
    if gone > WARN * max(1, audit.read):
        found.append(f"{gone} of {audit.read} rows are dropped ({gone / audit.read:.1%})")
    if audit.kept and audit.ended < 0.95:
        found.append(f"only {audit.ended:.0%} of the targets end in an end-of-turn token: it may not learn to stop")
    if audit.double_bos:
        found.append(f"{audit.double_bos} rows begin with two BOS tokens: the text or the template spells one already")
    if audit.personal:
        found.append("looks like personal data: " + ", ".join(f"{n} {kind}" for kind, n in audit.personal.items()))
    return found


def plant(
    objective: Any,
    sources: Iterable[Any],
    render: Renderer,
    *,
    max_tokens: int,
    folder: Path,
    held_sources: Iterable[Any] = (),
    context: int | None = None,
) -> tuple[Store, Audit]:
    """Read, check and plant rows into a folder, or take what an earlier run left there.

    Args:
        objective: plants one row.
        sources: `Rows`, or anything that yields rows and has `detected` and `dropped`.
        render: messages to tokens.
        max_tokens: longer rows are dropped and counted.
        folder: where the planted rows are kept.
        held_sources: rows to be held back; they follow the others in the store.
        context: tokens the model was made for; `max_tokens` if not given.

    Returns:
        The store, and the audit of what is in it and what is not; `audit.held` counts rows of `held_sources`.
    """
    kept = _read_audit(folder)
    if kept is not None:
        return Store(folder), kept
    shutil.rmtree(folder, ignore_errors=True)
    audit = Audit(max_tokens=max_tokens, context=context or max_tokens)
    reading = _Reading(audit, objective, render)
    sources, held_sources = list(sources), list(held_sources)
    numbers: list[int] = []
    remedy = "Free some space, or name another place in ESPALIER_CACHE."
    with full_disk(folder.parent, remedy), StoreWriter(folder) as writer:
        for number, rows in enumerate(sources + held_sources):
            before = writer.trees
            for row, tree in reading.trees(rows):
                writer.add(tree, row)
            numbers.append(writer.trees - before)
            audit.detected.append(rows.detected)
            for lost in rows.dropped:
                reading.drop(lost.reason, f"{lost.where}: {getattr(lost, 'detail', '') or lost.reason}")
            if number >= len(sources):
                audit.held += writer.trees - before
        reading.finish(writer.trees)
        audit.sources = numbers
        (writer.partial / "audit.json").write_text(json.dumps(asdict(audit)), encoding="utf-8")
    return Store(folder), audit


def _read_audit(folder: Path) -> Audit | None:
    """The audit of planted rows; None where they are not there, or not whole."""
    try:
        content = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Audit(**content) if whole(folder) else None


def hold_back(
    store: Store, rows: int, *, share: float, most: int, group: str | None, seed: int
) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Which rows train and which are held back; rows of one group, or of one prompt, are never on both sides.

    Args:
        store: the planted rows.
        rows: choose among the first so many.
        share: of all rows.
        most: at most so many rows.
        group: a column whose values stay together; None for the prompt.
        seed: of the choice.

    Returns:
        Numbers of the training rows, and of the held-back ones.
    """
    members: dict[str, list[int]] = {}
    for number, prompt in enumerate(store.prompts[:rows].tolist()):
        members.setdefault(str(_value(store.row(number), group)) if group else str(prompt), []).append(number)
    wanted = min(most, round(share * rows))
    held: list[int] = []
    for name in sorted(members, key=lambda name: seeding.derive(seed, "hold back", name)):
        if len(held) + len(members[name]) <= wanted:
            held += members[name]
    return np.setdiff1d(np.arange(rows), held), sorted(held)


def _value(row: Row, column: str) -> Any:
    if column not in row:
        raise RowError(f"eval_group = {column!r}: {row.where} has no such column. It has: {', '.join(row)}.")
    return row[column]


def _empty(branch: Branch, render: Renderer) -> bool:
    """No target, or nothing but an end-of-turn token."""
    counted = branch.counted
    return len(counted) == 0 or all(int(branch.ids[n]) in render.stop_ids for n in counted)


def _shared_tokens(tree: Tree) -> int:
    return sum(len(node.ids) for node in grow([branch.ids for branch in tree.branches])[0])


def _texts(row: Row) -> Iterator[str]:
    """All text of a row."""
    for name in ("prompt", "completion", "chosen", "rejected", "text", "messages"):
        value = row.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (message["content"] for message in value if isinstance(message.get("content"), str))


def _quantiles(sizes: list[int]) -> tuple[int, int, int]:
    return int(np.quantile(sizes, 0.5)), int(np.quantile(sizes, 0.95)), max(sizes)
