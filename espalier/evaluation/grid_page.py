"""One page for several models under several conditions: a sentence, the tables, and some rows with their answers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from html import escape

from espalier import reading
from espalier.citing import locate
from espalier.evaluation.compare import Change
from espalier.evaluation.grid import Cell, Grid, sentence
from espalier.evaluation.page import facts, folded, page, table, tag, text
from espalier.evaluation.results import MEASURES, Example, Metric
from espalier.evaluation.wording import listed, number, signed
from espalier.messages import thought

SHOWN = 6  # rows, chosen by seed
ASIDE = ("ended", "length", "repetition", "same_script")  # how answers look, not whether they are right


def html(grid: Grid, *, seed: int = 0) -> str:
    """The page.

    Args:
        grid: what was measured.
        seed: of the rows that are shown.
    """
    told, by = sentence(grid), grid.cells[0].evaluation.options.get("by")
    shown = grid.shown or tuple(name for name in MEASURES if name not in ASIDE)
    others = [name for name in MEASURES if name not in (*shown, *ASIDE)]
    aside = [name for name in ASIDE if name not in shown]
    about = f"{listed(grid.targets, 9)} \u00b7 {grid.data}"
    first = f"Changes are against {grid.targets[0]} on the same rows. " if len(grid.targets) > 1 else ""
    return page(
        told,
        tag("h1", text(about)),
        text(told, "p", "verdict"),
        text(f"{first}In brackets: the 95 % interval.", "p", "soft"),
        tables(grid, shown),
        "".join(folded(f"{by}: {group}", tables(grid, [*shown, *others, *aside], group)) for group in grid.groups),
        _examples(grid, seed),
        tag("h2", "Details"),
        folded("Other numbers", tables(grid, others)),
        folded("How the answers look", tables(grid, aside)),
        folded("Rows that were left out, or not measured in full", _skipped(grid)),
        folded("How this was measured", facts(_options(grid))),
    )


def tables(grid: Grid, measures: Sequence[str], group: str | None = None) -> str:
    """A table of models and conditions for each measure that was taken."""
    parts = []
    for name in measures:
        rows = [
            [text(target), *(_figure(grid.cell(target, condition), name, group) for condition in grid.conditions)]
            for target in grid.targets
        ]
        if any(any(cells[1:]) for cells in rows):
            several = len(grid.conditions) > 1
            head = [("", ""), *((condition if several else "", "number") for condition in grid.conditions)]
            parts.append(text(MEASURES[name].title, "h3") + table(head, rows))
    return "".join(parts)


def figures(cell: Cell, group: str | None = None) -> tuple[dict[str, Metric], dict[str, Change]]:
    """The numbers of a cell and their changes, of all rows or of one group."""
    if group is None:
        return cell.evaluation.metrics, {change.measure: change for change in cell.changes}
    changes = (cell.group_changes or {}).get(group, ())
    return cell.evaluation.groups.get(group, {}), {change.measure: change for change in changes}


def _figure(cell: Cell, name: str, group: str | None) -> str:
    metrics, changes = figures(cell, group)
    if name not in metrics:
        return ""
    metric, change = metrics[name], changes.get(name)
    between = "" if metric.low is None or metric.high is None else f"({number(metric.low)} to {number(metric.high)}) "
    parts = [tag("div", f"{number(metric.value)} {text(f'{between}n {metric.n:,}', css='soft')}")]
    if change is not None:
        css = change.word if change.word != "cannot say" else "soft"
        parts.append(text(f"{signed(change.difference)} {change.word}", "div", css))
    return "".join(parts)


def _examples(grid: Grid, seed: int) -> str:
    """Rows by chance that the seed decides: the question, what was shown under each condition, what each model said."""
    answered = [
        {example.key: example for example in cell.evaluation.examples if example.answer is not None}
        for cell in grid.cells
    ]
    keys = [key for key in answered[0] if all(key in found for found in answered)]
    drawn = [keys[at] for at in sorted(random.Random(seed).sample(range(len(keys)), min(SHOWN, len(keys))))]
    shown = [_example(grid, [found[key] for found in answered]) for key in drawn]
    return tag("h2", "Some of the rows") + "".join(shown) if shown else ""


def _example(grid: Grid, found: Sequence[Example]) -> str:
    """One row; `found` has it once for each cell, in their order."""
    asked = text(found[0].where, "div", "label") + text(found[0].prompt, "div", "said")
    asked += text(f"expected: {found[0].reference or reading.ABSTAINED}", "div", "soft")
    parts = [tag("div", asked, "asked")]
    for condition in grid.conditions:
        here = [(c, e) for c, e in zip(grid.cells, found, strict=True) if c.condition == condition]
        quotes = {quote for _, example in here for quote in reading.read(thought(example.answer or "")[1]).quotes}
        if len(grid.conditions) > 1 or here[0][1].passages:
            parts.append(tag("div", text(condition, "div", "label") + _passages(here[0][1], quotes), "asked"))
        parts.append(tag("div", "".join(_answer(cell, example) for cell, example in here), "sides"))
    return tag("div", "".join(parts), "sample")


def _passages(example: Example, quotes: set[str]) -> str:
    """The passages that were shown, with what was quoted marked and those that hold the answer named."""
    lines = []
    for at, passage in enumerate(example.passages, 1):
        title = f"[{at}] {passage['title']}".rstrip() + (", holds the answer" if passage["gold"] else "")
        content = " ".join(passage["text"].split())  # as the model sees it
        spans = [span for quote in quotes if quote and (span := locate(quote, content))]
        lines.append(text(title, "div", "label") + tag("div", marked(content, spans), "said", ' dir="auto"'))
    return "".join(lines)


def marked(content: str, spans: Sequence[tuple[int, int]]) -> str:
    """A text as HTML with stretches of it marked; those that overlap are one."""
    parts, at = [], 0
    for start, end in sorted(spans):
        start = max(start, at)
        if start < end:
            parts += [escape(content[at:start]), tag("mark", escape(content[start:end]))]
            at = end
    return "".join(parts) + escape(content[at:])


def _answer(cell: Cell, example: Example) -> str:
    said = text((example.answer or "").strip(), "div", "said")
    return tag("div", tag("div", f"{text(cell.target)} {_judged(example)}", "label") + said)


def _judged(example: Example) -> str:
    """Whether an answer is right, in a word; nothing for a row that is no question."""
    right = example.scores.get("exact_match", example.scores.get("abstained"))
    if right is None:
        return ""
    if right[0]:
        return text("right", css="good")
    f1 = example.scores.get("f1", (0.0, 1.0))[0]
    return text(f"F1 {number(f1)}" if f1 else "wrong", css="soft" if f1 else "bad")


def _skipped(grid: Grid) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    for cell in grid.cells:
        for reason, count in cell.evaluation.skipped.items():
            counts[f"{cell.target}, {cell.condition}", reason] += count
    return facts((place, f"{count:,}: {reason}") for (place, reason), count in counts.items()) if counts else ""


def _options(grid: Grid) -> list[tuple[str, object]]:
    cell = grid.cells[0]
    found = {n.replace("_", " "): v for n, v in (grid.asked | cell.evaluation.options).items() if v not in (None, "")}
    models = [(target, grid.cell(target, grid.conditions[0]).evaluation.model) for target in grid.targets]
    return [*models, ("rows", cell.evaluation.rows), *found.items()]
