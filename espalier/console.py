"""The audit and the summary of a run as they stand on the terminal: in color, or in plain text where there is none."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from espalier.evaluation.wording import duration, listed, number, share

if TYPE_CHECKING:
    from espalier.audit import Audit

PLAIN_WIDTH = 120  # of what is not a terminal
LONGEST_STRETCH = 600  # characters of the row that is shown

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Fact = tuple[str, str | Text]  # a label, and what it labels


def make(file: IO[str] | None = None) -> Console:
    """A console that prints text as it is: nothing in a row of data is markup."""
    file = file or sys.stdout
    width = None if file.isatty() else PLAIN_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def visible(text: str) -> str:
    """A text whose control characters cannot steer the terminal."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").expandtabs(4))


def command(*words: object) -> str:
    """A command line that works as printed."""
    return shlex.join(["espalier", *map(str, words)])


def facts(console: Console, pairs: Sequence[Fact]) -> None:
    """Labels in one column, what they label in the other; a label said twice stands once."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", min_width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    before = ""
    for label, fact in pairs:
        grid.add_row("" if label == before else label, Text(fact) if isinstance(fact, str) else fact)
        before = label
    console.print(grid)


def print_audit(console: Console, audit: Audit) -> None:
    """The audit, one row with its trained tokens marked, and the warnings."""
    facts(console, [*_read(audit), *_dropped(audit), *_found(audit)])
    if audit.shown:
        _print_shown(console, audit)
    for warning in audit.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), visible(warning)))


def _read(audit: Audit) -> list[Fact]:
    counts = f"{audit.read:,} read, {audit.kept:,} kept"
    held = f", {audit.held:,} of them held back" if audit.held else ""
    return [*(("data", visible(sentence)) for sentence in audit.detected), ("rows", counts + held)]


def _dropped(audit: Audit) -> list[Fact]:
    found: list[Fact] = []
    for reason, count in sorted(audit.dropped.items(), key=lambda item: -item[1]):
        text = Text(f"{count:,} ({share(count / max(1, audit.read))})  {visible(reason)}")
        for where in audit.where.get(reason, [])[:3]:
            text.append(f"\n  {visible(where)}", style="dim")
        found.append(("dropped", text))
    return found


def _found(audit: Audit) -> list[Fact]:
    parts = [f"{name} {p50:,} / {p95:,} / {most:,}" for name, (p50, p95, most) in audit.lengths.items()]
    tokens = f"{', '.join(parts)}  (median / 95 % / longest; at most {audit.max_tokens:,})"
    found: list[Fact] = [("tokens", tokens if parts else f"at most {audit.max_tokens:,}")]
    if audit.languages:
        ranked = sorted(audit.languages.items(), key=lambda item: -item[1])
        found.append(("languages", listed([f"{name} {share(part)}" for name, part in ranked], 5)))
    found.append(("targets", f"{share(audit.ended)} end in an end-of-turn token"))
    if audit.double_bos:
        found.append(("start", Text(f"{audit.double_bos:,} rows begin with the start token twice", style="yellow")))
    found.append(("packed", f"prompts shared {audit.shared:.2f}x"))
    if personal := {name: count for name, count in audit.personal.items() if count}:
        found.append(("personal", listed([f"{count:,} {name}" for name, count in personal.items()], 6)))
    return found


def _print_shown(console: Console, audit: Audit) -> None:
    color = console.color_system is not None
    legend = "trained tokens are green" if color else "trained tokens stand in [[ ]]"
    console.print(Text.assemble(("one row", "bold"), f"     {visible(audit.shown_where)}; {legend}"))
    console.print(Padding(stretches(audit.shown, color=color), (0, 0, 0, 2)))


def stretches(shown: Sequence[tuple[str, bool]], *, color: bool) -> Text:
    """One row's text with the trained stretches colored or, without color, in brackets; long ones are shortened."""
    text = Text()
    for part, trained in shown:
        part = visible(part)
        if len(part) > LONGEST_STRETCH:
            half = LONGEST_STRETCH // 2
            part = f"{part[:half]} [...] {part[-half:]}"
        if not color:
            text.append(f"[[{part}]]" if trained else part)
        else:
            text.append(part, style="bold green" if trained else "dim")
    return text


def print_estimate(console: Console, values: Mapping[str, float]) -> None:
    """What the run will need, before its first step."""
    parts = []
    if "seconds" in values:
        parts.append(f"about {duration(values['seconds'])}")
    if "memory_gb" in values:
        parts.append(f"{number(values['memory_gb'])} GB of memory")
    size = [f"{values[name]:,.0f} {name}" for name in ("steps", "tokens") if name in values]
    facts(console, [("estimate", ", ".join(parts) + (f"  ({listed(size)})" if size else ""))])
