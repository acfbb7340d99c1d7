"""Instruction tuning on many tasks in several wordings (Wei et al., 2021, "FLAN"), arXiv:2109.01652."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from espalier import seeding
from espalier.catalogue import method
from espalier.contracts import Row
from espalier.curating import Curated, carried
from espalier.errors import RecipeError
from espalier.mixture import mix
from espalier.rows import Dropped

_HOLE = re.compile(r"\{(\w+)\}")


def sampling_rates(sizes: Sequence[int], *, cap: int) -> list[float]:
    """Examples-proportional mixing with a maximum: min(n_i, cap) / sum_j min(n_j, cap).

    Args:
        sizes: n_i, rows of each task, of which at least one has any.
        cap: rows of a task that count at most: beyond it a larger task gets no larger share.
    """
    counted = [min(size, cap) for size in sizes]
    return [count / sum(counted) for count in counted]


@method(paper="arXiv:2109.01652")
@dataclass(frozen=True)
class Flan:
    """Write each row of many tasks as an instruction, in one of its task's wordings, and mix the tasks under a cap.

    The rows of one epoch come out: all of a small task, `cap` of a large one. Clusters that are held out are left out,
    so that what comes out of `part = "held_out"` measures tasks of a kind that was never trained.

    Inputs: rows with task, cluster (the task, if there is none) and the columns that the templates name.
    Relations: weights of several sources in a recipe mix whole files, without templates.
    Departs from the paper: an epoch takes each chosen row once, instead of drawing tasks at random for each step; its
    limit of 30,000 rows of a task is left to whoever reads them.
    """

    templates: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)  # task -> {prompt, completion}
    cap: int = 3000  # rows of a task that count at most
    held_out: tuple[str, ...] = ()  # clusters
    part: Literal["train", "held_out"] = "train"  # which rows come out
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse templates without both sides, and a cap of nothing."""
        if self.cap < 1:
            raise RecipeError("synthesis/flan: cap must be at least 1.")
        for task, templates in self.templates.items():
            if not templates or any(template.keys() != {"prompt", "completion"} for template in templates):
                raise RecipeError(f"synthesis/flan: each template of {task!r} is a table of prompt and completion.")

    def curate(self, rows: Iterable[Row]) -> Curated:
        """The rows of one epoch; all are read first, for the shares follow from their number."""
        return Curated(self._mixed(rows))

    def _mixed(self, rows: Iterable[Row]) -> Iterator[Row | Dropped]:
        tasks: dict[str, list[int]] = {}
        known: list[Row] = []
        for row in rows:
            task = str(row.get("task"))
            cluster = str(row.get("cluster", task))
            if (cluster in self.held_out) != (self.part == "held_out"):
                yield Dropped(row.where, "held out" if self.part == "train" else "not held out", cluster)
            elif task not in self.templates:
                yield Dropped(row.where, "no template for its task", task)
            else:
                tasks.setdefault(task, []).append(len(known))
                known.append(row)
        if not known:
            return
        members = [np.asarray(numbers) for numbers in tasks.values()]
        chosen = mix(members, [None] * len(tasks), [self.cap] * len(tasks), seed=self.seed)
        for number in sorted(set(range(len(known))) - set(chosen.tolist())):
            yield Dropped(known[number].where, f"beyond {self.cap:,} rows of its task", str(known[number]["task"]))
        for number in chosen.tolist():
            yield self._written(known[number], number)

    def _written(self, row: Row, number: int) -> Row | Dropped:
        """A row in one of its task's wordings."""
        templates = self.templates[str(row["task"])]
        template = templates[seeding.derive(self.seed, "template", number) % len(templates)]
        holes = [name for text in template.values() for name in _HOLE.findall(text)]
        for name in holes:
            if row.get(name) is None:
                return Dropped(row.where, f"missing {name!r}, which a template asks for")
        written = {side: _HOLE.sub(lambda hole: _shown(row[hole[1]]), text) for side, text in template.items()}
        return Row(carried(row) | written, row.where)


def _shown(value: Any) -> str:
    """A value in a template; a list is what can be chosen from."""
    return "OPTIONS:\n" + "\n".join(f"- {item}" for item in value) if isinstance(value, list | tuple) else str(value)
