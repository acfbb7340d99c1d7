"""compare.html of pipelines: which is best, by how much and at what cost; then questions on which they differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from espalier.evaluation.compare import Change
from espalier.evaluation.page import facts, folded, page, table, tag, text
from espalier.evaluation.report import span
from espalier.evaluation.results import Metric
from espalier.evaluation.searching import Question
from espalier.evaluation.searching_figures import Column, Compared, Outcomes
from espalier.evaluation.wording import listed, number, signed

SHOWN = 8  # questions
READ = (
    "Intervals of a number hold 95 % of the bootstrap over questions, Wilson's where each question is right or wrong. "
    "Differences are paired: the same questions, against the first pipeline; their intervals hold for all pipelines "
    "together (Bonferroni). They know nothing of other questions than these. Times are of this machine while this was "
    "measured, one question after the other."
)
COSTS = {
    "calls": "model calls", "prompt_tokens": "tokens read", "completion_tokens": "tokens written",
    "searches": "searches", "seconds": "median time", "seconds_p95": "95 % below",
}  # fmt: skip


def html(found: Compared, questions: Sequence[Question], outcomes: Mapping[str, Outcomes]) -> str:
    """The page.

    Args:
        found: the comparison.
        questions: what was asked.
        outcomes: what each pipeline found and answered.
    """
    leading = next(iter(found.measures), "")
    about = f"{listed(list(found.columns), 9)} \u00b7 {found.about.get('index', '')}"
    others = [name for name in found.measures if name != leading]
    return page(
        found.verdict,
        tag("h1", text(about)),
        text(found.verdict, "p", "verdict"),
        text(f"{found.told} Relevance: {found.about.get('relevance', '')}.".strip(), "p", "soft"),
        "".join(text(f"{name}: {why}", "p", "note") for name, why in found.problems.items()),
        _measure(found, found.columns, leading) if leading else "",
        tag("h2", "What a question takes") + _costs(found.columns) if found.columns else "",
        tag("h2", "Other numbers") + "".join(_measure(found, found.columns, name, "h3") for name in others),
        *(_group(found, group, columns) for group, columns in found.groups.items()),
        _questions(found, questions, outcomes, leading),
        tag("h2", "Details"),
        folded("How this was measured", facts((name.replace("_", " "), said) for name, said in found.about.items())),
        folded("How to read this", text(READ, "p")),
    )


def cost(name: str, value: float) -> str:
    """A cost per question as a person says it."""
    if not name.startswith("seconds"):
        return number(value)
    return f"{number(value)} s" if value >= 1 else f"{number(1000 * value)} ms"


def _measure(found: Compared, columns: Mapping[str, Column], name: str, level: str = "h2") -> str:
    """One measure: every pipeline, and against the first."""
    against = f"against {found.first}"
    head = [("", ""), ("", "number"), ("95 %", "number"), (against, "number"), ("", ""), ("n", "number")]
    every = [change for column in columns.values() if (change := column.changes.get(name))]
    reach = max((abs(end) for c in every for end in (c.low, c.high, c.difference)), default=0.0) * 1.1
    rows = [
        [text(pipeline), *_number(column.metrics[name]), *_change(column.changes.get(name), reach),
         f"{column.metrics[name].n:,}"]
        for pipeline, column in columns.items() if name in column.metrics
    ]  # fmt: skip
    return text(found.measures[name].title, level) + table(head, rows) if rows else ""


def _number(metric: Metric) -> list[str]:
    between = "" if metric.low is None or metric.high is None else f"{number(metric.low)} to {number(metric.high)}"
    return [number(metric.value), text(between, css="soft")]


def _change(change: Change | None, reach: float) -> list[str]:
    if change is None:
        return ["", ""]
    css = change.word if change.word != "cannot say" else "soft"
    said = f"{signed(change.difference)} ({signed(change.low)} to {signed(change.high)})"
    drawn = tag("span", span(change.low, change.difference, change.high, reach), css)
    return [text(said) + text(change.word, "div", css), drawn]


def _costs(columns: Mapping[str, Column]) -> str:
    names = [name for name in COSTS if any(column.costs.get(name) for column in columns.values())]
    head = [("", ""), *((COSTS[name], "number") for name in names)]
    rows = [
        [text(pipeline), *(cost(name, column.costs[name]) if name in column.costs else "" for name in names)]
        for pipeline, column in columns.items()
    ]
    return table(head, rows)


def _group(found: Compared, group: str, columns: Mapping[str, Column]) -> str:
    n = max((column.n for column in columns.values()), default=0)
    parts = [_measure(found, columns, name, "h3") for name in found.measures]
    return folded(f"{group}, {n:,} questions", *parts)


def _questions(found: Compared, questions: Sequence[Question], outcomes: Mapping[str, Outcomes], leading: str) -> str:
    """The questions on which the pipelines differ most, in the order they were asked."""
    spreads = {}
    for question in questions:
        values = [own[question.id].scores.get(leading) for own in outcomes.values() if question.id in own]
        known = [value for value in values if value is not None]
        if len(known) > 1 and max(known) > min(known):
            spreads[question.id] = max(known) - min(known)
    chosen = set(sorted(spreads, key=lambda i: -spreads[i])[:SHOWN])
    parts = [_question(found, one, outcomes, leading) for one in questions if one.id in chosen]
    return tag("h2", "Where they differ most") + "".join(parts) if parts else ""


def _question(found: Compared, question: Question, outcomes: Mapping[str, Outcomes], leading: str) -> str:
    asked = text(question.id, "div", "label") + text(question.text, "div", "said")
    if question.answers is not None:
        asked += text(f"expected: {' / '.join(question.answers) or 'to abstain'}", "div", "soft")
    sides = []
    for name, own in outcomes.items():
        if (one := own.get(question.id)) is None:
            continue
        score = one.scores.get(leading)
        label = f"{name}  {found.measures[leading].title} {number(score)}" if score is not None else name
        said = text(one.answer.strip(), "div", "said") if one.answer else ""
        places = [f"{hit['document']}, {hit['start']:,} to {hit['end']:,}" for hit in one.hits[:3]]
        hits = "".join(text(f"{rank}. {place}", "div", "soft") for rank, place in enumerate(places, 1))
        sides.append(tag("div", text(label, "div", "label") + said + hits))
    return tag("div", tag("div", asked, "asked") + tag("div", "".join(sides), "sides"), "sample")
