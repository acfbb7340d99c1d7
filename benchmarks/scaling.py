"""How ours and TRL's best compare as the prompt's share of a row and the number of answers to a prompt grow.

python -m benchmarks.scaling                 every cell
python -m benchmarks.scaling --missing       only what is not recorded yet
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import race
from espalier.evaluation.curves import ticks

SHARES = (0.1, 0.5, 0.9)
ANSWERS = (2, 4, 8)
PAIRS = 8  # in a batch, or as many as whole prompts make
STEPS = 3
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 880, 300, 52, 54, 34, 40
COLORS = {2: "#1b6ca8", 4: "#d1761f", 8: "#3d8c40"}
TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


def case_of(share: float, answers: int) -> race.Case:
    """DPO on prompts with so many answers: TRL sees pairs that repeat the prompt and the chosen answer."""
    batch = PAIRS // (answers - 1) * (answers - 1)
    return race.Case(
        f"prompt-{share:.0%}-answers-{answers}".replace("%", ""),
        rows="shared",
        share=share,
        answers=answers,
        count=STEPS * batch,
        batch=batch,
        sides=("ours", "TRL best"),
    )


def cells() -> list[race.Case]:
    """Every cell of the grid."""
    return [case_of(share, answers) for share, answers in itertools.product(SHARES, ANSWERS)]


def figures(entry: dict[str, Any]) -> dict[str, float]:
    """Tokens per second of both sides after the first step, peak memory in MB, and ours against TRL's.

    Tokens are those of the distinct rows, each answer with its prompt, the same number on both sides.
    """
    case = race.Case(**{**entry["case"], "sides": tuple(entry["case"]["sides"])})
    rows = race.drawn(case)[case.batch // (case.answers - 1) :]
    tokens = sum(len(answers) * (prompt + 1) + sum(answers) for prompt, *answers in rows)
    found = race.summary(entry)
    scale = tokens / (case.count - case.batch)
    return found | {f"tokens {side}": found[f"rate {side}"] * scale for side in ("ours", "best")}


def table(recorded: dict[str, Any]) -> str:
    """A row per cell."""
    rows = [
        "| prompt's share | answers | ours, tokens/s | TRL best | ours / best | by CPU time | peak MB ours | TRL best |"
        " above: ours / best |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cells():
        if case.name in recorded:
            f = figures(recorded[case.name])
            rows.append(
                f"| {case.share:.0%} | {case.answers} | {f['tokens ours']:.0f} | {f['tokens best']:.0f} "
                f"| {f['speed vs best']:.2f}x | {f['cpu speed vs best']:.2f}x | {f['peak ours']:.0f} "
                f"| {f['peak best']:.0f} | {f['above vs best']:.2f} |"
            )
    return "\n".join(rows)


def picture(recorded: dict[str, Any]) -> str:
    """Three panels over the prompt's share: tokens per second, ours against TRL's best, peak memory."""
    found = {(case.share, case.answers): figures(recorded[case.name]) for case in cells() if case.name in recorded}
    panels: list[tuple[str, dict[str, Callable[[dict[str, float]], float]]]] = [
        ("tokens per second", {"ours": lambda f: f["tokens ours"], "best": lambda f: f["tokens best"]}),
        ("times as fast as TRL's best", {"ours": lambda f: f["speed vs best"]}),
        ("peak memory, MB", {"ours": lambda f: f["peak ours"], "best": lambda f: f["peak best"]}),
    ]
    parts = [_legend()]
    width = (WIDTH - GAP * (len(panels) - 1)) / len(panels)
    for number, (title, sides) in enumerate(panels):
        parts.append(
            f'<g transform="translate({number * (width + GAP):.0f} 0)">{_panel(title, sides, found, width)}</g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 {WIDTH + 16} {HEIGHT}" role="img">'
        f'<rect x="-8" width="{WIDTH + 16}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(
    title: str,
    sides: dict[str, Callable[[dict[str, float]], float]],
    found: dict[tuple[float, int], dict[str, float]],
    width: float,
) -> str:
    marks = ticks(0, max(of(f) for of in sides.values() for f in found.values()))

    def at(share: float, value: float) -> tuple[float, float]:
        return LEFT + (width - LEFT) * share, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / marks[-1]

    parts = [f'<text x="{LEFT}" y="{TOP - 14}" {TEXT} font-weight="bold">{title}</text>']
    for mark in marks:
        y = at(0, mark)[1]
        parts.append(f'<line x1="{LEFT}" x2="{width:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" {TEXT}>{mark:g}</text>')
    for share in SHARES:
        x = at(share, 0)[0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="middle" {TEXT}>{share:.0%}</text>')
    for (side, of), answers in itertools.product(sides.items(), ANSWERS):
        points = [at(share, of(found[share, answers])) for share in SHARES if (share, answers) in found]
        dashes = ' stroke-dasharray="5 4"' if side == "best" else ""
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[answers]}" stroke-width="2"{dashes}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS[answers]}"/>' for x, y in points]
    return "".join(parts)


def _legend() -> str:
    parts = [f'<text x="{LEFT}" y="18" {TEXT}>over the share of a row that is prompt; answers to a prompt:</text>']
    for number, (answers, color) in enumerate(COLORS.items()):
        x = 430 + 46 * number
        parts.append(f'<line x1="{x}" x2="{x + 18}" y1="14" y2="14" stroke="{color}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 23}" y="18" {TEXT}>{answers}</text>')
    parts.append(f'<text x="600" y="18" {TEXT}>solid: ours, dashed: TRL best</text>')
    return "".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Race every cell and write everything measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.name for case in cells()]
    parser.add_argument("--cell", action="append", choices=names, help="may be repeated")
    options = race.common(parser, "scaling.json", rounds=1).parse_args(arguments)
    race.record([case for case in cells() if case.name in (options.cell or names)], options)


if __name__ == "__main__":
    main()
