"""What stands on the terminal, the audit above all: in color, or in plain text where there is none."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from espalier.evaluation.wording import duration, listed, number, share

if TYPE_CHECKING:
    from espalier.audit import Audit

PLAIN_WIDTH = 120  # of what is not a terminal
LABEL, GAP = 10, 2  # characters kept for labels, and between columns
LONGEST_STRETCH = 600  # characters of the row that is shown

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

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
    width = max([LABEL, *(len(label) for label, _ in pairs)]) + GAP
    before = ""
    for label, fact in pairs:
        indented(console, _text(fact), width, Text.assemble(("" if label == before else label, "bold")))
        before = label


def table(console: Console, rows: Sequence[Sequence[str | Text]], *, right: Collection[int] = ()) -> None:
    """Rows of cells in columns; what is too long wraps in the last column, and not at all in a pipe.

    Args:
        console: where to.
        rows: the cells, the same number in each row.
        right: the columns whose cells stand to the right.
    """
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(cell.cell_len for cell in column) for column in zip(*texts, strict=True)]
    for *cells, last in texts:
        line = Text()
        for at, (cell, width) in enumerate(zip(cells, widths, strict=False)):
            room = " " * (width - cell.cell_len)
            parts = (room, cell) if at in right else (cell, room)
            line = Text.assemble(line, *parts, " " * GAP)
        if console.is_terminal:
            indented(console, last, line.cell_len, line)
        else:
            console.print(Text.assemble(line, last).plain.rstrip(), soft_wrap=True)


def indented(console: Console, text: Text, width: int, label: Text | None = None) -> None:
    """A text that begins in some column on every line, with a label before the first."""
    for line in text.wrap(console, max(20, console.width - width)):
        first = label or Text()
        whole = Text.assemble(first, " " * (width - first.cell_len), line)
        whole.rstrip()
        console.print(whole, soft_wrap=True)
        label = None


def _text(cell: str | Text) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def print_audit(console: Console, audit: Audit) -> None:
    """The audit, one row with its trained tokens marked, and the warnings."""
    facts(console, [*_read(audit), *_dropped(audit), *_found(audit)])
    if audit.settings:
        facts(console, [("preset", visible(audit.settings))])
    if audit.shown:
        _print_shown(console, audit)
    for warning in audit.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), visible(warning)))


def _read(audit: Audit) -> list[Fact]:
    counts = f"{audit.read:,} read, {audit.kept - audit.held:,} to train on, {audit.held:,} held back to measure"
    return [*(("data", visible(sentence)) for sentence in audit.detected), ("rows", counts)]


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
    found.append(("packed", f"prompts shared {audit.shared:.2f}x"))
    return found


def _print_shown(console: Console, audit: Audit) -> None:
    color = console.color_system is not None
    legend = "trained tokens are green" if color else "trained tokens stand in [[ ]]"
    facts(console, [("one row", f"{visible(audit.shown_where)}; {legend}")])
    indented(console, stretches(audit.shown, color=color), 2)


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
    parts += [f"{values[name]:,.0f} {name}" for name in ("steps", "tokens") if name in values]
    if "trained" in values:
        parts.append(f"{values['trained']:,.0f} of {values['parameters']:,.0f} parameters are trained")
    facts(console, [("estimate", ", ".join(parts))])
