"""What rows are good for: which objectives can be trained on them, which to try first, and what to mind.

Every objective of the catalogue is asked to plant the rows, as it would for training, but from plain characters: no
model, no tokenizer. What it needs and refuses is its own, and none is listed here.
"""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from espalier.catalogue import addresses, build
from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.wording import listed, number, share
from espalier.messages import answers_of, history_of, text_of
from espalier.rows import Rows, read
from espalier.trees.tree import Branch, Tree

FEW = 100  # rows, or answers of one label, below which there is little to learn from
LOPSIDED = 0.65  # share of pairs with the longer side chosen, from which on length may be what is learned
TRIED = 200  # rows that every objective is shown
LIKED = "data.where=label=true"  # what imitation is to see of rated answers

Line = tuple[str, str]


@dataclass(frozen=True)
class First:
    """What to try first with rows of a kind: objectives, each with what it is to see of the rows; why; what next."""

    steps: tuple[tuple[str, str], ...]
    why: str
    then: str


FIRST = {
    "preference": First(
        (("dpo", ""),),
        "the likelihood of the pairs themselves; measure the others against it",
        "robust_dpo where labels are swapped, ipo where all agree, ld_dpo where length wins, orpo without a reference",
    ),
    "unpaired": First(
        (("sft", LIKED), ("kto", "")),
        "imitate what is liked, then go on from there with both sides",
        "unlikelihood where disliked answers must go, whatever they were worth",
    ),
    "ranked": First(
        (("reward_model", ""),),
        "a score learns from all comparisons of a list at once",
        "pairs of the best and another answer are what dpo and its kin take",
    ),
}
IMITATE = First(
    (("sft", ""),),
    "the rows say what to answer, and not which answer is better",
    "sample from what it has become, have the answers rated or compared, and go on with those",
)


@dataclass(frozen=True)
class Use:
    """An objective that can be trained on the rows, and what it says of them."""

    address: str
    reference: bool  # whether it holds a second model
    told: str = ""

    @property
    def name(self) -> str:
        """Its short name."""
        return self.address.partition("/")[2]


@dataclass(frozen=True)
class Advice:
    """Five lines, each with its label, and the objectives that they speak of, those to try first in front."""

    lines: tuple[Line, ...]
    first: tuple[str, ...]
    uses: tuple[Use, ...]


class Characters:
    """A renderer without a tokenizer: one token a byte, and one for the end."""

    def completion(self, prompt: Any, completion: Any, tools: Any = None) -> Branch:
        """A prompt and the completion that counts."""
        before, counted = _text(history_of(prompt)), _text(answers_of(completion))
        return _branch([(before, False), (counted + "\0", True)])

    def conversation(self, messages: Sequence[Any], tools: Any = None) -> list[Branch]:
        """A conversation of which the assistant's turns count."""
        return [_branch([(text_of(turn) + "\0", turn.get("role") == "assistant") for turn in messages])]

    def text(self, text: str) -> Branch:
        """A text that counts as a whole."""
        return _branch([(text + "\0", True)])


def advise(data: str, *, columns: str | None = None) -> Advice:
    """Read rows and say what they are good for.

    Args:
        data: a file or folder of rows, or a dataset's id.
        columns: which column is which field: "prompt=question,completion=answer".

    Raises:
        RowError: they cannot be read.
    """
    source = read(data, columns=columns)
    rows = list(source)
    uses = tuple(_uses(rows))
    usable, wanted = {use.name for use in uses}, FIRST.get(source.kind, IMITATE)
    first = [step for step in wanted.steps if step[0] in usable]
    lines = (
        ("rows", _counted(source, rows)),
        ("sizes", _sizes(source.kind, rows)),
        ("usable by", _usable(uses)),
        ("first", _first(first, wanted, data, columns)),
        ("mind", "; ".join(_warnings(source, rows)) or "nothing stands out"),
    )
    return Advice(lines, tuple(name for name, _ in first), uses)


def usable(rows: Sequence[Row]) -> list[str]:
    """The short names of the objectives that can be trained on rows."""
    return [use.name for use in _uses(rows)]


def _uses(rows: Sequence[Row]) -> Iterator[Use]:
    """The objectives that can plant most of the rows, and find in them what they need."""
    for address in addresses("objectives"):
        objective = build({"method": address})
        planted = list(_planted(objective, rows[:TRIED]))
        if len(planted) * 2 <= len(rows[:TRIED]):
            continue
        told = ""
        if hasattr(objective, "settle"):
            batch = objective.presets.get("small", {}).get("batch_size", 16)
            try:
                _, told = objective.settle(_planted(objective, rows), batch)
            except RowError:  # all of one label
                continue
        yield Use(address, hasattr(objective, "reference"), told)


def _planted(objective: Any, rows: Sequence[Row]) -> Iterator[Tree]:
    for row in rows:
        try:
            yield objective.plant(row, Characters())
        except RowError:  # the audit counts these
            continue


def _counted(source: Rows, rows: Sequence[Row]) -> str:
    reasons = Counter(lost.reason for lost in source.dropped)
    dropped = f"; {len(source.dropped):,} dropped ({listed([f'{r}: {n}' for r, n in reasons.most_common()])})"
    return f"{len(rows):,} of {source.detected}" + (dropped if reasons else "")


def _sizes(kind: str, rows: Sequence[Row]) -> str:
    """The median length of every part of the rows, the labels, and how many answers a list has."""
    named: dict[str, list[int]] = {}
    for row in rows:
        for name, text in _parts(row):
            named.setdefault(name, []).append(len(text))
    found = [f"{name} {statistics.median(sizes):,.0f}" for name, sizes in named.items()]
    parts = [f"characters, median: {', '.join(found)}"] if found else []
    if kind == "unpaired":
        liked = sum(row["label"] for row in rows)
        parts.insert(0, f"{liked:,} liked and {len(rows) - liked:,} not ({share(liked / len(rows))} liked)")
    if kind == "preference":
        parts.append(f"the longer side is chosen in {share(_longer(rows))}")
    if kind == "ranked":
        parts.insert(0, f"{number(statistics.mean(len(row['completions']) for row in rows))} answers a list")
    return "; ".join(parts) or "nothing that can be measured"


def _usable(uses: Sequence[Use]) -> str:
    if not uses:
        return "no objective as they are; `espalier methods objectives` lists what each reads"
    light = [use.name for use in uses if not use.reference]
    parts = [", ".join(use.name for use in uses)]
    if light and len(light) < len(uses):
        parts.append(f"without a reference model: {', '.join(light)}")
    return "; ".join(parts + [f"{use.name}: {use.told}" for use in uses if use.told])


def _first(steps: Sequence[tuple[str, str]], wanted: First, data: str, columns: str | None) -> str:
    """Which objectives to try first, one upon the other, why, the commands, and what to try next."""
    if not steps:
        return "nothing to train"
    commands = []
    start = ["--model", "MODEL", "--adapter", "lora"]
    mapped = ["--columns", columns] if columns else []
    for name, only in steps:
        words = [name, *start, "--data", data, *mapped, *([only] if only else []), "--out", f"runs/{name}"]
        commands.append(shlex.join(["espalier", "train", *words]))
        start = ["--from", f"runs/{name}"]
    names, typed = ", then ".join(name for name, _ in steps), " && ".join(commands)
    return f"{names}: {wanted.why}. {typed}  Next: {wanted.then}."


def _warnings(source: Rows, rows: Sequence[Row]) -> Iterator[str]:
    read_rows = len(rows) + len(source.dropped)
    if source.kind == "unpaired":
        liked = sum(row["label"] for row in rows)
        for count, name in ((liked, "liked"), (len(rows) - liked, "disliked")):
            if count < FEW:
                yield f"only {count:,} {name} answers: under {FEW} of either label, expect little of it"
        yield f"imitation takes all rows alike: {LIKED} leaves the disliked out"
    elif len(rows) < FEW:
        yield f"only {len(rows):,} rows: under {FEW}, expect little"
    if source.kind == "preference" and _longer(rows) >= LOPSIDED:
        yield "the longer side is usually chosen: length may be what is learned, so compare lengths afterwards"
    if len(source.dropped) * 50 > read_rows:
        yield f"{share(len(source.dropped) / read_rows)} of the rows cannot be read"


def _longer(rows: Sequence[Row]) -> float:
    """The share of pairs of unequal length whose chosen side is the longer one."""
    sizes = [(len(_text(answers_of(row["chosen"]))), len(_text(answers_of(row["rejected"])))) for row in rows]
    unequal = [chosen > rejected for chosen, rejected in sizes if chosen != rejected]
    return sum(unequal) / max(1, len(unequal))


def _parts(row: Row) -> Iterator[tuple[str, str]]:
    """The texts of a row, by what they are."""
    for name in ("prompt", "completion", "chosen", "rejected", "messages", "question", "text"):
        value = row.get(name)
        if name == "completion" and isinstance(row.get("label"), bool):
            name = "liked" if row["label"] else "disliked"
        if isinstance(value, str):
            yield name, value
        elif value:
            yield name, _text(value)
    if "ranks" in row:
        yield from (("answer", _text(answers_of(one))) for one in row.get("completions") or ())


def _text(messages: Sequence[Any]) -> str:
    return "\n".join(text_of(message) for message in messages)


def _branch(parts: Sequence[tuple[str, bool]]) -> Branch:
    """A start token, then the bytes of the parts."""
    found = [np.frombuffer(text.encode(), np.uint8) for text, _ in parts]
    mask = [np.full(len(ids), counted) for ids, (_, counted) in zip(found, parts, strict=True)]
    return Branch(np.concatenate([[1], *found]).astype(np.int32), np.concatenate([[False], *mask]))
