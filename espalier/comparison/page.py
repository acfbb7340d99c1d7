"""compare.html: which candidate won, by how much and at what cost; then some rows with what each of them answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from espalier.comparison.figures import Figures
from espalier.comparison.results import Results, Trained
from espalier.evaluation.compare import Change
from espalier.evaluation.curves import curves
from espalier.evaluation.page import facts, folded, page, table, tag, text
from espalier.evaluation.report import span
from espalier.evaluation.results import MEASURES, Example
from espalier.evaluation.wording import duration, listed, number, share, signed
from espalier.run import Run
from espalier.tables import toml

SHOWN = 5  # rows, chosen by seed


def html(results: Results, *, seed: int = 0) -> str:
    """The page.

    Args:
        results: what is there.
        seed: of the rows that are shown.
    """
    agenda, first = results.agenda, results.parts[0]
    about = f"{listed(agenda.names, 9)} \u00b7 {agenda.runs[0].recipe.from_run or agenda.runs[0].recipe.model}"
    tokens = (
        f"{agenda.budget:,} policy tokens each, to the nearest step" if agenda.budget else "each as long as it says"
    )
    trained = sum(map(len, agenda.shared.trained))
    same = f"The same {trained:,} rows in the same order, {tokens}. Measured on {first.about}."
    return page(
        first.verdict,
        tag("h1", text(about)),
        text(first.verdict, "p", "verdict"),
        text(f"{first.told} {same}".strip(), "p", "soft"),
        "".join(text(f"{name}: {why}", "p", "note") for name, why in results.problems.items()),
        _leading(first),
        tag("h2", "What it took") + costs(results),
        text(reference(results), "p", "soft"),
        _samples(first, seed),
        tag("h2", "Details"),
        *(folded(f"Every number, on {part.about}", _everything(part)) for part in results.parts),
        _curves(results),
        folded("The candidates", _settings(results)),
        folded("How to read this", text(READ, "p")),
    )


READ = (
    "Intervals hold 95 % of the bootstrap over rows, of paired differences; with several seeds, of their mean, and a "
    "difference only counts if every seed has it. The first sentence allows for the number of candidates. Intervals "
    "know nothing of other rows than these, and of other settings than those compared: an objective at its preset is "
    "not that objective at its best."
)


def _leading(part: Figures) -> str:
    if not part.leading:
        return ""
    title = text(MEASURES[part.leading].title, "h2")
    return title + _measure(part, part.leading)


def _measure(part: Figures, name: str) -> str:
    """One measure: every candidate, against the start and against the first."""
    head = [("", ""), ("", "number"), ("against the start", "number"), ("", "")]
    head += [(f"against {part.first}", "number"), ("", ""), ("rows", "number")]
    sides = [part.against_start, part.against_first]
    every = [c for side in sides for changes in side.values() for c in changes if c.measure == name]
    reach = max((abs(end) for c in every for end in (c.low, c.high, c.difference)), default=0.0) * 1.1
    begun = part.start[part.first].metrics.get(name)
    rows = [[text("start"), number(begun.value), *[""] * 4, f"{begun.n:,}"]] if begun else []
    for candidate, found in part.found.items():
        if name in found.metrics:
            metric = found.metrics[name]
            low, high = part.seeds[candidate].get(name, (metric.value, metric.value))
            seeds = text(f"seeds {number(low)} to {number(high)}", "div", "soft") if low < high else ""
            cells = [cell for side in sides for cell in _change(side.get(candidate, ()), name, reach)]
            rows.append([text(candidate), number(metric.value) + seeds, *cells, f"{metric.n:,}"])
    return table(head, rows)


def _change(changes: Sequence[Change], name: str, reach: float) -> list[str]:
    """A difference in numbers and in a word, and as a bar on the scale of all of them."""
    change = next((change for change in changes if change.measure == name), None)
    if change is None:
        return ["", ""]
    css = change.word if change.word != "cannot say" else "soft"
    said = f"{signed(change.difference)} ({signed(change.low)} to {signed(change.high)})"
    drawn = tag("span", span(change.low, change.difference, change.high, reach), css)
    return [text(said) + text(change.word, "div", css), drawn]


def _everything(part: Figures) -> str:
    names = [name for name in MEASURES if any(name in one.metrics for one in part.found.values())]
    return "".join(text(MEASURES[name].title, "h3") + _measure(part, name) for name in names)


def costs(results: Results) -> str:
    """What each run took."""
    head = [("", ""), *((title, "number") for title in ("steps", "passes over the rows", "policy tokens"))]
    head += [(title, "number") for title in ("time of the steps", "time of everything", "memory", "learning rate")]
    return table(head, [_cost(one) for ones in results.trained.values() for one in ones])


def _cost(one: Trained) -> list[str]:
    planned = one.planned
    times = [duration(one.seconds), duration(one.total), f"{number(one.memory_gb)} GB", f"{one.learning_rate:g}"]
    return [text(planned.name), f"{planned.steps:,}", f"{planned.passes:.2f}", f"{one.tokens:,}", *times]


def reference(results: Results) -> str:
    """Who has paid for the reference, in a sentence."""
    asked = [one for ones in results.trained.values() for one in ones if one.reference]
    paid = [one for one in asked if one.reference["computed"]]
    if not asked:
        return "No finished candidate keeps the answers of a reference."
    parts = [_paid(one.planned.name, one.reference) for one in paid]
    free = [one.planned.name for one in asked if one not in paid]
    said = f"The reference answered {listed(parts, 9)}" if parts else "Everything the reference says was in the cache"
    return said + (f"; read from the cache by {listed(free, 9)}." if free and parts else ".")


def _paid(name: str, reference: Mapping[str, Any]) -> str:
    return f"{reference['computed']:,} rows in {number(reference['seconds'])} s for {name}"


def _samples(part: Figures, seed: int) -> str:
    """Rows by chance that the seed decides, with the answer of the start and of every candidate."""
    if not part.found:
        return ""
    sides = {"start": part.start[part.first], **part.found}
    answered = {n: {e.key: e for e in one.examples if e.answer is not None} for n, one in sides.items()}
    keys = [key for key in answered["start"] if all(key in found for found in answered.values())]
    drawn = [keys[at] for at in sorted(random.Random(seed).sample(range(len(keys)), min(SHOWN, len(keys))))]
    shown = [_sample({name: found[key] for name, found in answered.items()}) for key in drawn]
    return tag("h2", "Some of the rows, with what each answers") + "".join(shown) if shown else ""


def _sample(sides: dict[str, Example]) -> str:
    first = sides["start"]
    asked = text(first.where, "div", "label") + text(first.prompt, "div", "said")
    asked += text(f"expected: {first.reference}", "div", "soft") if first.reference else ""
    answers = [
        tag("div", text(name, "div", "label") + text((example.answer or "").strip(), "div", "said"))
        for name, example in sides.items()
    ]
    return tag("div", tag("div", asked, "asked") + tag("div", "".join(answers), "sides"), "sample")


def _curves(results: Results) -> str:
    parts = []
    for ones in results.trained.values():
        for one in ones:
            figures = [tag("figure", text(t, "figcaption") + svg) for t, svg in curves(Run(one.folder).metrics())]
            parts.append(text(one.planned.name, "h3") + tag("div", "".join(figures), "charts"))
    return folded("Curves; the loss of one objective says nothing about another's", *parts)


def _settings(results: Results) -> str:
    parts = []
    for ones in results.trained.values():
        recipe = Run(ones[0].folder).recipe if ones else None
        if recipe is not None:
            tables = {"objective": recipe.objective, "adapter": recipe.adapter or {"method": "full"}}
            tables["train"] = {name: value for name, value in recipe.train.items() if name != "seed"}
            parts.append(text(ones[0].planned.candidate, "h3") + text(toml(tables), "pre"))
    held = results.agenda.shared
    audit = [("data", sentence) for sentence in results.agenda.audit.detected]
    kept = sum(map(len, held.trained))
    audit.append(
        ("rows", f"{kept:,} to train on, {len(held.held):,} held back, {held.left_out:,} not for every candidate")
    )
    audit.append(("packed", f"prompts shared {results.agenda.audit.shared:.2f}x"))
    audit.append(("targets", f"{share(results.agenda.audit.ended)} end in an end-of-turn token"))
    return facts(audit) + "".join(parts)
