"""A run's curves as inline SVG: no script, no file beside the page, colors from the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from espalier.evaluation.wording import number

Point = tuple[float, float]
Series = tuple[str, str, Sequence[Point]]  # a name, a style ("line", "faint" or "dots"), and points

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 28
MOST_POINTS = 300


def curves(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Titles and pictures: the loss, and each number the objective reports, on training and held-back rows."""
    events = list(events)
    train = [event for event in events if event.get("kind") == "step"]
    held = [event for event in events if event.get("kind") == "eval"]
    skipped = {"kind", "step", "grad_norm", "learning_rate", "tokens", "seconds", "examples", "best"}
    names = ["loss", *dict.fromkeys(name for event in [*train, *held] for name in event if name != "loss")]
    found = []
    for name in [name for name in names if name not in skipped]:
        steps, checks = points(train, name), points(held, name)
        if len(steps) > 1 or len(checks) > 1:
            series: list[Series] = [("each step", "faint", thin(steps)), ("mean of steps", "line", thin(smooth(steps)))]
            found.append((name.replace("_", " "), picture([*series, ("held-back rows", "dots", checks)])))
    return found


def points(events: Iterable[Mapping[str, Any]], name: str) -> list[Point]:
    """Step and value of every event that has a finite value of that name."""
    pairs = [(event["step"], event[name]) for event in events if isinstance(event.get(name), int | float)]
    return [(float(step), float(value)) for step, value in pairs if math.isfinite(value)]


def smooth(series: Sequence[Point]) -> list[Point]:
    """A running mean with the memory of a twentieth of the points."""
    keep = 1 - 1 / max(1.0, len(series) / 20)
    found: list[Point] = []
    total = weight = 0.0
    for step, value in series:
        total, weight = keep * total + value, keep * weight + 1
        found.append((step, total / weight))
    return found


def thin(series: Sequence[Point]) -> list[Point]:
    """At most so many points, the last one included."""
    stride = max(1, math.ceil(len(series) / MOST_POINTS))
    return [*series[:-1:stride], *series[-1:]]


def picture(series: Sequence[Series]) -> str:
    """Lines and dots over steps, with three or more round numbers on the axis."""
    everything = [point for _, _, points in series for point in points]
    x0, x1 = min(x for x, _ in everything), max(x for x, _ in everything)
    marks = ticks(min(y for _, y in everything), max(y for _, y in everything))
    y0, y1 = marks[0], marks[-1]

    def at(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * ((x - x0) / (x1 - x0) if x1 > x0 else 0.5)
        return f"{across:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y0) / (y1 - y0):.1f}"

    parts = [_axis(marks, at, x0, x1)]
    for _, style, points in series:
        if style == "dots":
            places = [at(*point).split(",") for point in points]
            parts.append("".join(f'<circle class="dots" cx="{x}" cy="{y}" r="3.5"/>' for x, y in places))
        elif len(points) > 1:
            parts.append(f'<polyline class="{style}" points="{" ".join(at(*point) for point in points)}"/>')
    legend = " ".join(f'<span class="key {style}">{escape(name)}</span>' for name, style, points in series if points)
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
    return f'{svg}<div class="legend">{legend}</div>'


def _axis(marks: Sequence[float], at: Any, x0: float, x1: float) -> str:
    parts = []
    for mark in marks:
        height = at(x0, mark).split(",")[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height}" dy="0.35em" text-anchor="end">{number(mark)}</text>')
    foot = HEIGHT - 8
    parts.append(f'<text x="{LEFT}" y="{foot}">step {x0:,.0f}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{foot}" text-anchor="end">{x1:,.0f}</text>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly spaced, that enclose an interval."""
    if high <= low:
        low, high = low - max(abs(low), 1e-6) * 0.1, low + max(abs(low), 1e-6) * 0.1
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]
