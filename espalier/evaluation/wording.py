"""Numbers and differences in words: the same on the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Difference = Mapping[str, Any]  # name, before, after, difference, low, high, n, word

OWN_ANSWERS = "its own earlier answers"
NO_EVALUATION = "Whether anything was gained cannot be said: no rows were evaluated before and after."


def number(value: float) -> str:
    """A number as precise as a reader needs: 1,240, 61.3, 1.04, 0.612, 0.0064, 1.2e-05."""
    size = abs(value)
    if not math.isfinite(value) or size == 0:
        return f"{value:g}"
    if size < 0.00995:
        return f"{value:.2g}"
    return f"{value:,.{0 if size >= 999.5 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3}f}"


def signed(value: float) -> str:
    """The same with its sign; zero has none."""
    text = number(value)
    return f"+{text}" if value > 0 else text


def share(value: float) -> str:
    """A fraction as a percentage."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent in (0.0, 100.0) or 10 <= percent <= 99 else f"{percent:.1f} %"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4 s, 3 min 20 s, 2 h 05 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def listed(items: Sequence[str], most: int = 3) -> str:
    """Items as in a sentence: "a", "a and b", "a, b and c", "a, b, c and 4 more"."""
    shown = list(items[:most]) + ([f"{len(items) - most} more"] if len(items) > most else [])
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def verdict(differences: Sequence[Difference]) -> str:
    """One sentence: what was gained, what was lost, and how sure that is."""
    if not differences:
        return NO_EVALUATION
    gained, lost, unsure = ([d for d in differences if d["word"] == word] for word in ("gained", "lost", "cannot say"))
    sure = f"with 95 % confidence on {_rows(differences)} rows"
    if not gained and not lost:
        return f"Whether anything was gained or lost cannot be said {sure}: {_changes(unsure)} may be chance."
    parts = [f"Gained: {_changes(gained)}", f"lost: {_changes(lost)}"]
    if unsure:
        parts.append(f"cannot say: {listed([d['name'] for d in unsure])}")
    return f"{'; '.join(parts)}; {sure}."


def outcome(evaluation: Mapping[str, Any]) -> str:
    """One sentence on a run, from its evaluation.json: what it gained, or how well it scores, and what it forgot."""
    return "; ".join(filter(None, (_gained(evaluation).removesuffix("."), forgot(evaluation.get("general"))))) + "."


def forgot(general: Mapping[str, Any] | None) -> str:
    """What became of the text that was not trained on, as the end of a sentence; empty where it was not weighed.

    Of its own answers before the tuning a model can only move away, which is said so: it need not be a loss.
    """
    if not general or "problem" in general:
        return ""
    own = general["what"] == OWN_ANSWERS
    words = {"lost": "moved" if own else "forgot", "gained": "not forgotten, but gained"}
    word = words.get(general["word"], "has not moved as far as can be seen" if own else "forgot nothing that shows")
    between = f"{percent(general['low'])} to {percent(general['high'])} %, {general['n']} rows"
    before, after = number(general["before"]), number(general["after"])
    return f"{word}: perplexity on {general['what']} {before} to {after} ({between})"


def percent(value: float) -> str:
    """A change in per cent, with its sign: +18, -0.4."""
    return f"{100 * value:+,.0f}" if abs(value) >= 0.0995 else f"{100 * value + 0.0:+.1f}"


def _gained(evaluation: Mapping[str, Any]) -> str:
    found = ((evaluation.get("after") or {}).get("metrics") or {}).get("pair_accuracy")
    if found is None or evaluation.get("differences"):
        return verdict(evaluation.get("differences", []))
    between = "" if found["low"] is None else f" ({share(found['low'])} to {share(found['high'])})"
    return f"Of two answers the better one is scored higher in {share(found['value'])} of {found['n']:,} rows{between}."


def _changes(differences: Sequence[Difference]) -> str:
    return listed([_change(d) for d in differences], 2) or "nothing that shows"


def _change(difference: Difference) -> str:
    before, after, low, high = (difference[name] for name in ("before", "after", "low", "high"))
    between = f"a change of {signed(low)} to {signed(high)}"
    return f"{difference['name']} {number(before)} to {number(after)} ({between})"


def _rows(differences: Sequence[Difference]) -> str:
    counts = [d["n"] for d in differences]
    return " to ".join(f"{n:,}" for n in sorted({min(counts), max(counts)}))
