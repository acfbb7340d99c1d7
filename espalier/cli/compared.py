"""What `espalier compare` prints: the plan before it, the tables after it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.comparison.figures import Figures
from espalier.comparison.page import reference
from espalier.comparison.plan import Agenda
from espalier.comparison.results import Results
from espalier.evaluation.compare import Change
from espalier.evaluation.results import MEASURES
from espalier.evaluation.wording import duration, number, signed

STYLES = {"gained": "bold green", "lost": "bold red", "cannot say": "dim"}
MARKS = {"gained": " +", "lost": " -"}
NAME, WIDE = 22, 98  # characters of a name, and of a table

Row = list[str | Text]


def print_agenda(out: Console, agenda: Agenda) -> None:
    """The rows, what each run will take, and who cannot take part."""
    console.print_audit(out, agenda.audit)
    trained = sum(map(len, agenda.shared.trained))
    out.print(f"\n{trained:,} rows to train on and {len(agenda.shared.held):,} held back, the same for all")
    head = _dim("", "steps", "passes", "tokens")
    rows = [[short(r.name), f"{r.steps:,}", f"{r.passes:.2f}", f"{r.tokens:,}"] for r in agenda.runs]
    console.table(out, [head, *rows], right=(1, 2, 3))
    _print_problems(out, agenda.marked)
    for warning in agenda.warnings:
        out.print(Text.assemble(("warning: ", "bold yellow"), console.visible(warning)), soft_wrap=True)


def print_results(out: Console, results: Results) -> None:
    """The verdict, the measure it is about, other numbers, and what it took."""
    part = results.parts[0]
    out.print()
    out.print(Text(part.verdict, "bold"))
    if part.told:
        out.print(part.told)
    if part.leading:
        out.print(f"\n{MEASURES[part.leading].title}, on {part.about}")
        _print_leading(out, part, results)
    elif results.problems:
        _print_problems(out, results.problems)
    _print_others(out, part)
    _print_costs(out, results)


def short(name: str) -> str:
    """A name that fits into a table."""
    return name if len(name) <= NAME else f"{name[: NAME // 2 - 1]}..{name[-NAME // 2 + 1 :]}"


def _dim(*cells: str) -> Row:
    return [Text(cell, "dim") for cell in cells]


def _print_problems(out: Console, problems: dict[str, str] | object) -> None:
    assert isinstance(problems, dict)
    for name, why in problems.items():
        out.print(Text.assemble((f"{name}: ", "bold red"), console.visible(why)))


def _print_leading(out: Console, part: Figures, results: Results) -> None:
    name, begun = part.leading, part.start[part.first].metrics.get(part.leading)
    rows: list[Row] = [_dim("", "", "against the start", f"against {short(part.first)}")]
    rows += [["start", number(begun.value), "", ""]] if begun else []
    for candidate, found in part.found.items():
        value = number(found.metrics[name].value)
        changes = [_change(part.against_start[candidate], name), _change(part.against_first.get(candidate, ()), name)]
        rows.append([short(candidate), value, *changes])
    console.table(out, rows, right=(1,))
    for candidate, spread in part.seeds.items():
        low, high = spread.get(name, (0.0, 0.0))
        if low < high:
            count = len(results.trained[candidate])
            out.print(f"  {candidate}: {number(low)} to {number(high)} over {count} seeds", style="dim")
    _print_problems(out, dict(results.problems))


def _change(changes: Sequence[Change], name: str) -> Text:
    change = next((change for change in changes if change.measure == name), None)
    if change is None:
        return Text()
    word = change.word if change.word != "cannot say" else ""
    between = f"{signed(change.difference)} ({signed(change.low)} to {signed(change.high)})"
    return Text.assemble((between, STYLES[change.word]), (f" {word}" if word else "", STYLES[change.word]))


def _print_others(out: Console, part: Figures) -> None:
    """The other measures, as many candidates beside each other as fit."""
    names = [n for n in MEASURES if n != part.leading and any(n in one.metrics for one in part.found.values())]
    if not names or not part.found:
        return
    out.print(f"\nother numbers (+ better, - worse than {part.first}, where that can be said)")
    sides = ["start", *part.found]
    label = max(len(MEASURES[name].title) for name in names)
    width = max(9, *(len(short(side)) for side in sides)) + console.GAP
    each = max(1, (WIDE - label) // width)
    for at in range(0, len(sides), each):
        shown = sides[at : at + each]
        rows = [_dim("", *map(short, shown), "")]
        rows += [[MEASURES[name].title, *(_figure(part, side, name) for side in shown), ""] for name in names]
        console.table(out, rows, right=range(1, len(shown) + 1))


def _figure(part: Figures, side: str, name: str) -> Text:
    metrics = (part.start[part.first] if side == "start" else part.found[side]).metrics
    if name not in metrics:
        return Text()
    change = next((c for c in part.against_first.get(side, ()) if c.measure == name), None)
    word = change.word if change else "cannot say"
    return Text(f"{number(metrics[name].value)}{MARKS.get(word, '  ')}", STYLES[word] if word in MARKS else "")


def _print_costs(out: Console, results: Results) -> None:
    runs = [one for ones in results.trained.values() for one in ones]
    if not runs:
        return
    out.print()
    rows: list[Row] = [_dim("", "steps", "passes", "tokens", "training", "in all", "memory", "learning rate")]
    for one in runs:
        p, memory = one.planned, f"{number(one.memory_gb)} GB"
        counts = [f"{p.steps:,}", f"{p.passes:.2f}", f"{one.tokens:,}"]
        rows.append(
            [short(p.name), *counts, duration(one.seconds), duration(one.total), memory, f"{one.learning_rate:g}"]
        )
    console.table(out, rows, right=range(1, 7))
    out.print(reference(results))
