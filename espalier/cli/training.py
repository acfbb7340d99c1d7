"""`espalier train`: a run as its user watches it, from the audit to what to type next."""

from __future__ import annotations

import sys

from rich.console import Console

from espalier import console
from espalier.cli.progress import Progress
from espalier.cli.stopping import stops_in_order
from espalier.evaluation.wording import duration, outcome
from espalier.recipe import Recipe
from espalier.run import Run, resume_command


def train(recipe: Recipe, *, resume: bool) -> bool:
    """Train and show it; whether the run came to its end."""
    out = console.make()
    with Progress(out) as progress, stops_in_order(lambda: progress.training) as asked:
        from espalier.tuning import train as run_recipe

        try:
            run = run_recipe(recipe, resume=resume, listen=progress, stop=asked)
        except KeyboardInterrupt:
            if progress.saved:
                print(f"\ngo on with: {resume_command(Run.open(recipe.out))}", file=sys.stderr)
            raise
    if progress.step:  # else another rank tells
        summarize(out, run, progress.step)
    return run.state == "finished"


def next_commands(run: Run) -> list[console.Fact]:
    """What to type after a run: to talk to its model, and to measure it. A model that scores cannot talk."""
    from espalier.models.scoring import is_scorer

    folder = run.folder
    if run.result.exists() and is_scorer(run.result):
        return [
            ("measure", console.command("evaluate", folder, "--data", "NEW_PAIRS.jsonl")),
            ("hand over", console.command("export", folder, "--to", "hf")),
        ]
    return [
        ("talk", console.command("chat", folder, "--against", "base")),
        ("measure", console.command("evaluate", folder, "--against", "base", "--data", "NEW_ROWS.jsonl")),
        ("hand over", console.command("export", folder, "--to", "ollama")),
    ]


def summarize(out: Console, run: Run, step: int) -> None:
    """What came out of a run, where it is, and what to type next."""
    report = run.folder / "report.html"
    facts: list[console.Fact] = []
    if run.state == "finished":
        facts += [
            ("outcome", outcome(run.read("evaluation.json", {}))),
            ("result", str(run.result)),
            ("report", str(report)),
            *next_commands(run),
        ]
    else:
        facts += [
            ("stopped", f"after step {step:,}, which is saved"),
            ("report", str(report)),
            ("go on", resume_command(run)),
        ]
    out.print()
    console.facts(out, [*facts, ("took", duration(run.info().get("seconds", 0.0)))])
