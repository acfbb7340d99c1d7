"""The held-back rows of a run, measured before its first step and after its last: what report.html opens with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.compare import compare
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.forgetting import Forgetting
from espalier.evaluation.results import Evaluation
from espalier.evaluation.rewards import ByRole, Scoring
from espalier.models.heads import is_scalar
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.run import Run, write_text

ANSWERED = 24  # held-back rows that are also answered; generation is the slow part
LONGEST = 160  # tokens of such an answer

Progress = Callable[[str, int, int], None]


class Measurement:
    """Evaluations of one run's held-back rows; each is kept in the run's folder as soon as it is there."""

    def __init__(
        self, run: Run, rows: list[Row], renderer: Renderer, seed: int, progress: Progress,
        forgetting: Forgetting | None = None,
    ) -> None:  # fmt: skip
        self.run, self.rows, self.renderer, self.seed, self.progress = run, rows, renderer, seed, progress
        self.forgetting = forgetting

    def before(self, policy: Role, start: Role | None = None) -> None:
        """Measure the untouched policy: a pair is a tie, for policy and reference are one. A new head says nothing.

        Args:
            policy: what is about to be trained.
            start: the model that the run started from, where that is not the policy.
        """
        if self.forgetting is not None:
            self.progress("evaluating what may be forgotten", 0, 1)
            self.forgetting.before(start or policy)
        if self.rows and not is_scalar(policy.inner.model) and not self.run.read("evaluation.json", {}).get("before"):
            self._keep(before=self._measured(policy, policy, "before"))

    def after(self, policy: Role, reference: Role | None) -> None:
        """Measure the result, and compare."""
        if self.forgetting is not None:
            self._keep(general=self.forgetting.after(policy))
        found = self.run.read("evaluation.json", {})
        if self.rows and is_scalar(policy.inner.model):
            self._keep(after=self._measured(ByRole(policy, self.renderer), None, "after"))
        if not self.rows or not found.get("before"):
            return
        before = Evaluation.from_dict(found["before"])
        after = self._measured(policy, reference, "after")
        if after is None:
            return
        self._keep(after=after, differences=[asdict(change) for change in compare(before, after, seed=self.seed)])
        lines = [json.dumps(sample, ensure_ascii=False) for sample in _samples(before, after, self.rows)]
        write_text(self.run.folder / "samples.jsonl", "".join(line + "\n" for line in lines))

    def _keep(self, **found: Any) -> None:
        content = {k: v.to_dict() if isinstance(v, Evaluation) else v for k, v in found.items()}
        self.run.write("evaluation.json", self.run.read("evaluation.json", {}) | content)

    def _measured(self, policy: Role | Scoring, reference: Role | None, name: str) -> Evaluation | None:
        """All rows by likelihood, the first few also by what is answered; None where no row can be measured."""
        try:
            return evaluate(
                policy, self.rows, self.renderer, reference=reference, name=name, answered=ANSWERED, max_tokens=LONGEST,
                seed=self.seed, progress=self.progress,
            )  # fmt: skip
        except RowError:
            return None


def _samples(before: Evaluation, after: Evaluation, rows: list[Row]) -> list[dict[str, Any]]:
    """Rows side by side: what was asked, expected and answered, with a score that is better when higher."""
    base = {example.row: example for example in before.examples}
    found = []
    for tuned in after.examples:
        if tuned.row not in base:
            continue
        row, was = rows[tuned.row], base[tuned.row]
        sample: dict[str, Any] = {"where": tuned.where, "prompt": tuned.prompt}
        if tuned.kind == "preference":
            sample |= {"chosen": row["chosen"], "rejected": row["rejected"]}
            sample |= {"margin_base": _margin(was.scores), "margin_tuned": _margin(tuned.scores)}
        else:
            sample["reference"] = tuned.reference
            sample |= {"score_base": _score(was.scores), "score_tuned": _score(tuned.scores)}
        if was.answer is not None and tuned.answer is not None:
            sample |= {"base": was.answer, "tuned": tuned.answer}
        found.append(sample)
    return found


def _margin(scores: dict[str, tuple[float, float]]) -> float | None:
    return scores["reward_margin"][0] if "reward_margin" in scores else None


def _score(scores: dict[str, tuple[float, float]]) -> float | None:
    """Mean log-probability of the reference answer per token, in nats."""
    nats, tokens = scores.get("perplexity", (0.0, 0.0))
    return -nats / tokens if tokens else None
