"""report.html: one file that says what a run gained, what it lost and how sure that is; then shows it.

It is written from the files of the run's folder, and says what is missing where a run was stopped or not evaluated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espalier.evaluation.curves import curves
from espalier.evaluation.page import facts, folded, page, table, tag, text
from espalier.evaluation.wording import OWN_ANSWERS, duration, listed, number, outcome, percent, share, signed
from espalier.run import Run, write_text

SHOWN = 5  # samples chosen by seed, and samples that got worse
SIDES = {"reference": "expected", "chosen": "chosen", "rejected": "rejected", "base": "before", "tuned": "after"}
LAYOUTS = {"trees": "packed", "rows": "padded"}  # as users know them
Table = Mapping[str, Any]


def write_report(folder: str | Path) -> Path:
    """Write report.html into a run's folder.

    Raises:
        RunError: there is no run.
    """
    run = Run.open(folder)
    file = run.folder / "report.html"
    write_text(file, html(run))
    return file


def html(run: Run) -> str:
    """The page."""
    info, recipe = run.info(), _recipe(run)
    evaluation = run.read("evaluation.json", {})
    differences, said = evaluation.get("differences", []), outcome(evaluation)
    samples = _lines(run.folder / "samples.jsonl")
    seed = int(recipe.get("train", {}).get("seed", 0))
    return page(
        f"{run.folder.resolve().name}: {said}",
        tag("h1", text(_about(run, info, recipe))),
        text(said, "p", "verdict"),
        text(_when(info), "p", "soft"),
        _unfinished(run, info),
        _changes(differences),
        _forgotten(evaluation.get("general")),
        _samples("Before and after: some of the held-back rows", chosen(samples, seed)),
        _samples("Where it got worse", worse(samples)) or _no_worse(samples),
        tag("h2", "Details"),
        _curves(run),
        _audit(run.read("audit.json", {})),
        _made(run, info),
    )


def chosen(samples: Sequence[Table], seed: int) -> list[Table]:
    """Some samples, by chance that the run's seed decides, in the order of the file."""
    numbers = sorted(random.Random(seed).sample(range(len(samples)), min(SHOWN, len(samples))))
    return [samples[number] for number in numbers]


def worse(samples: Sequence[Table]) -> list[Table]:
    """The samples whose score fell most."""
    falls = [(tuned - base, at) for at, (base, tuned) in enumerate(map(scores, samples)) if None not in (base, tuned)]
    return [samples[at] for fall, at in sorted(falls)[:SHOWN] if fall < 0]


def scores(sample: Table) -> tuple[Any, Any]:
    """A sample's score before and after, or its margin where it is a pair."""
    kind = "score" if "score_tuned" in sample else "margin"
    return sample.get(f"{kind}_base"), sample.get(f"{kind}_tuned")


def _about(run: Run, info: Table, recipe: Table) -> str:
    def short(section: str) -> str:
        return str(recipe.get(section, {}).get("method", "")).rpartition("/")[2]

    adapter = f"{short('adapter')} adapter" if recipe.get("adapter") else "every weight"
    parts = [run.folder.resolve().name, short("objective"), adapter, str(recipe.get("model", ""))]
    return " \u00b7 ".join(filter(None, parts))


def _when(info: Table) -> str:
    parts = [f"started {info['started']}" if "started" in info else "", str(info.get("state", ""))]
    parts.append(f"took {duration(info['seconds'])}" if info.get("seconds") else "")
    return ", ".join(filter(None, parts))


def _unfinished(run: Run, info: Table) -> str:
    if info.get("state") == "finished":
        return ""
    done = max((event["step"] for event in run.metrics() if event.get("kind") == "step"), default=0)
    of = f" of {info['steps']:,}" if "steps" in info else ""
    return text(f"This run is not finished: it stands at step {done:,}{of}.", "p", "note")


def _changes(differences: Sequence[Table]) -> str:
    if not differences:
        return ""
    head = [("", ""), ("before", "number"), ("after", "number"), ("change", "number"), ("95 % interval", "number")]
    rows = []
    for d in differences:
        before, after, n = number(d["before"]), number(d["after"]), f"{d['n']:,}"
        between = f"{signed(d['low'])} to {signed(d['high'])}"
        drawn = tag("span", span(d["low"], d["difference"], d["high"]), _css(d))
        word = text(d["word"], css=_css(d))
        rows.append((text(d["name"]), before, after, signed(d["difference"]), between, drawn, n, word))
    return tag("h2", "What changed") + table([*head, ("", ""), ("rows", "number"), ("", "")], rows)


def _forgotten(general: Table | None) -> str:
    """What became of text that was not trained on."""
    if not general:
        return ""
    title = tag("h2", "What was forgotten")
    if "problem" in general:
        return title + text(f"This cannot be said of {general['what']}: {general['problem']}.", "p", "note")
    head = [("", ""), ("before", "number"), ("after", "number"), ("change", "number"), ("95 % interval", "number")]
    low, change, high = (general[name] for name in ("low", "change", "high"))
    between, drawn = f"{percent(low)} to {percent(high)} %", tag("span", span(low, change, high), _css(general))
    words = text(f"perplexity on {general['what']}"), number(general["before"]), number(general["after"])
    word = text(general["word"], css=_css(general))
    row = (*words, f"{percent(change)} %", between, drawn, f"{general['n']:,}", word)
    ends = sorted(abs(general[name]) for name in ("nats_low", "nats_high"))
    if general["word"] == "cannot say":
        said = "Whether text that was not trained on became less likely cannot be said."
    else:
        way = "less" if general["word"] == "lost" else "more"
        by = f"{way} likely by {number(abs(general['nats']))} nats per token ({' to '.join(map(number, ends))})"
        said = f"Text that was not trained on became {by}."
    if general["what"] == OWN_ANSWERS:
        said += (
            " It is what the model answered to everyday prompts before, so that this estimates the divergence from it: "
            "how far the model has moved, and not yet a loss. Rows of your own say more: general = ROWS."
        )
    return title + table([*head, ("", ""), ("rows", "number"), ("", "")], [row]) + text(said, "p", "soft")


def _css(difference: Table) -> str:
    return str(difference["word"]) if difference["word"] in ("gained", "lost") else "soft"


def span(low: float, middle: float, high: float, reach: float = 0.0) -> str:
    """An interval as a bar about its middle, with zero dashed; `reach` is the end of the scale, by default its own."""
    reach = reach or max(abs(low), abs(high), abs(middle)) * 1.1 or 1.0
    left, at, right = (f"{72 + 70 * value / reach:.1f}" for value in (low, middle, high))
    return (
        '<svg class="span" viewBox="0 0 144 14" aria-hidden="true"><line class="zero" x1="72" x2="72" y1="0" y2="14"/>'
        f'<line x1="{left}" x2="{right}" y1="7" y2="7"/><circle cx="{at}" cy="7" r="3.5"/></svg>'
    )


def _samples(title: str, samples: Sequence[Table]) -> str:
    return tag("h2", title) + "".join(map(_sample, samples)) if samples else ""


def _no_worse(samples: Sequence[Table]) -> str:
    scored = sum(None not in scores(sample) for sample in samples)
    return tag("h2", "Where it got worse") + text(f"On none of {scored:,} rows.", "p") if scored else ""


def _sample(sample: Table) -> str:
    sides = [
        tag("div", text(label, "div", "label") + text(_said(sample[key]), "div", "said"))
        for key, label in SIDES.items()
        if sample.get(key) is not None
    ]
    where = f"{sample.get('where', '')}{_scored(sample)}"
    asked = text(where, "div", "label") + text(_said(sample.get("prompt", "")), "div", "said")
    return tag("div", tag("div", asked, "asked") + tag("div", "".join(sides), "sides"), "sample")


def _scored(sample: Table) -> str:
    base, tuned = scores(sample)
    if base is None or tuned is None:
        return ""
    if "margin_tuned" in sample:
        return f": chosen over rejected by {number(base)} nats before, {number(tuned)} after"
    return f": log-probability of the expected answer {number(base)} per token before, {number(tuned)} after"


def _said(content: Any) -> str:
    """A prompt or an answer, which may be messages."""
    if isinstance(content, list):
        return "\n\n".join(f"{message.get('role', '')}: {_said(message.get('content', ''))}" for message in content)
    return content.strip() if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _curves(run: Run) -> str:
    figures = [tag("figure", text(title, "figcaption") + svg) for title, svg in curves(run.metrics())]
    return folded("Curves", tag("div", "".join(figures), "charts")) if figures else ""


def _audit(audit: Table) -> str:
    if not audit:
        return ""
    pairs: list[tuple[str, object]] = [("data", sentence) for sentence in audit.get("detected", [])]
    pairs.append(
        ("rows", f"{audit['read']:,} read, {audit['kept'] - audit['held']:,} to train on, {audit['held']:,} held back")
    )
    for reason, count in audit["dropped"].items():
        pairs.append((f"dropped: {reason}", f"{count:,}; {'; '.join(audit['where'].get(reason, []))}"))
    for name, (p50, p95, most) in audit["lengths"].items():
        pairs.append((f"tokens of a {name}", f"{p50:,} median, {p95:,} at 95 %, {most:,} at most"))
    pairs.append(("languages", listed([f"{name} {share(part)}" for name, part in audit["languages"].items()], 6)))
    pairs.append(("targets", f"{share(audit['ended'])} end in an end-of-turn token"))
    pairs.append(("packed", f"prompts shared {audit['shared']:.2f}x"))
    pairs += [("warning", warning) for warning in audit["warnings"]]
    shown = "".join(text(part, "mark" if trained else "span") for part, trained in audit["shown"])
    title = text(f"{audit['shown_where']}; what is marked is trained", "h3")
    return folded("The rows it was trained on", facts(pairs), title + tag("pre", shown) if shown else "")


def _made(run: Run, info: Table) -> str:
    file = run.folder / "recipe.toml"
    parts = [text(file.read_text(encoding="utf-8"), "pre") if file.exists() else ""]
    for name in ("decisions", "roles", "machine", "versions"):
        if found := info.get(name):
            parts.append(tag("h3", name) + facts(_flat(found)))
    return folded("How it was made: recipe, decisions, versions", *parts)


def _flat(values: Table, before: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name} ")
        elif value not in ("", None):
            found.append(
                (f"{before}{name}".replace("_", " "), LAYOUTS.get(value, value) if name == "layout" else value)
            )
    return found


def _recipe(run: Run) -> Table:
    from espalier.recipe import read_toml

    file = run.folder / "recipe.toml"
    return read_toml(file) if file.exists() else {}


def _lines(file: Path) -> list[Table]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
