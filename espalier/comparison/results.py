"""The results of a comparison, read from its folder: what each run took, what it reached, and why one failed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espalier.comparison.figures import Figures, figures
from espalier.comparison.plan import Agenda, Planned
from espalier.evaluation.results import Evaluation
from espalier.run import Run

START = "start"


@dataclass(frozen=True)
class Trained:
    """One run that has come to its end, and what it cost.

    Attributes:
        planned: the run as it was planned.
        folder: where it is.
        tokens: policy tokens.
        seconds: of its optimizer steps alone.
        total: seconds with everything: opening the model, the reference, measuring.
        memory_gb: at the peak.
        learning_rate: its highest.
        reference: rows that the reference answered, how many of them in this run, and the seconds that took.
    """

    planned: Planned
    folder: Path
    tokens: int
    seconds: float
    total: float
    memory_gb: float
    learning_rate: float
    reference: Mapping[str, Any]

    @classmethod
    def of(cls, planned: Planned) -> Trained | None:
        """The run, if it is finished."""
        run = Run(Path(planned.recipe.out))
        info = run.info()
        if info.get("state") != "finished":
            return None
        steps = [event for event in run.metrics() if event["kind"] == "step"]
        return cls(
            planned, run.folder, sum(s["tokens"] for s in steps), sum(s["seconds"] for s in steps), info["seconds"],
            info.get("memory_gb", 0.0), run.recipe.train_options.learning_rate or 0.0, info.get("reference", {}),
        )  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Everything that is there.

    Attributes:
        agenda: what was planned.
        trained: the finished runs of each candidate.
        problems: why a candidate, or a run of one, is not there.
        parts: figures, on the rows of --eval first, then on those held back.
    """

    agenda: Agenda
    trained: Mapping[str, Sequence[Trained]]
    problems: Mapping[str, str]
    parts: Sequence[Figures]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "verdict": self.parts[0].verdict,
            "rows": {"trained": sum(map(len, self.agenda.shared.trained)), "held": len(self.agenda.shared.held)},
            "tokens": self.agenda.budget,
            "problems": dict(self.problems),
            "runs": [_run(one) for ones in self.trained.values() for one in ones],
            "measured": [_part(part) for part in self.parts],
        }


def collect(
    agenda: Agenda, problems: Mapping[str, str], out: Path, measured_on: str | None, leading: str | None = None
) -> Results:
    """Read what the runs and the measurements have left.

    Args:
        agenda: what was planned.
        problems: why runs failed, by their names.
        out: the folder of the comparison.
        measured_on: rows beside those held back, if any.
        leading: the measure that the verdict is about.
    """
    trained: dict[str, list[Trained]] = {name: [] for name in agenda.names if name not in agenda.marked}
    for planned in agenda.runs:
        if planned.name not in problems and (one := Trained.of(planned)):
            trained[planned.candidate].append(one)
    parts = []
    if measured_on is not None:
        starts = {run.candidate: _read(out / "measured" / f"{name}.json") for run, name in starts_of(agenda)}
        files = {
            name: [out / "measured" / f"{one.planned.name}.json" for one in ones] for name, ones in trained.items()
        }
        measured = {name: [_read(file) for file in found] for name, found in files.items()}
        parts.append(_figures(measured_on, starts, measured, leading))
    if agenda.shared.held:
        kept = {name: [Run(one.folder).read("evaluation.json", {}) for one in ones] for name, ones in trained.items()}
        starts = {name: _one(found[0].get("before")) for name, found in kept.items() if found}
        measured = {name: [_one(one.get("after")) for one in found] for name, found in kept.items()}
        parts.append(_figures(f"{len(agenda.shared.held):,} rows held back", starts, measured, leading))
    return Results(agenda, trained, {**agenda.marked, **problems}, parts)


def starts_of(agenda: Agenda) -> list[tuple[Planned, str]]:
    """Each candidate's first run, and the name of what it starts from: the same where that is the same."""
    by_name = {run.candidate: run for run in reversed(agenda.runs)}
    first = [by_name[name] for name in agenda.names if name in by_name]
    begun = dict.fromkeys(run.recipe.from_run or run.recipe.model for run in first)
    names = {start: START if at == 0 else f"{START}-{at + 1}" for at, start in enumerate(begun)}
    return [(run, names[run.recipe.from_run or run.recipe.model]) for run in first]


def _figures(
    about: str,
    starts: Mapping[str, Evaluation | None],
    measured: Mapping[str, Sequence[Evaluation | None]],
    leading: str | None,
) -> Figures:
    there = {name: [one for one in ones if one is not None] for name, ones in measured.items()}
    begun = {name: one for name, one in starts.items() if one is not None}
    return figures(about, begun, {name: ones for name, ones in there.items() if ones and name in begun}, leading)


def _read(file: Path) -> Evaluation | None:
    return _one(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _one(values: Any) -> Evaluation | None:
    return Evaluation.from_dict(values) if values else None


def _run(one: Trained) -> dict[str, Any]:
    planned = one.planned
    about = {"name": planned.name, "candidate": planned.candidate, "seed": planned.seed, "folder": str(one.folder)}
    about |= {"objective": planned.recipe.objective, "steps": planned.steps, "passes": round(planned.passes, 3)}
    costs = {name: value for name, value in asdict(one).items() if name not in ("planned", "folder")}
    return about | costs


def _part(part: Figures) -> dict[str, Any]:
    return {
        "about": part.about,
        "leading": part.leading,
        "verdict": part.verdict,
        "told": part.told,
        "start": {name: {k: asdict(m) for k, m in one.metrics.items()} for name, one in part.start.items()},
        "candidates": {name: {k: asdict(m) for k, m in one.metrics.items()} for name, one in part.found.items()},
        "seeds": part.seeds,
        "against_start": {name: list(map(asdict, changes)) for name, changes in part.against_start.items()},
        "against_first": {name: list(map(asdict, changes)) for name, changes in part.against_first.items()},
    }
