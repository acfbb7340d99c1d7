"""What a run will take, said before its first step."""

from __future__ import annotations

from typing import Any

from espalier.train.loop import Job
from espalier.train.rehearsal import Rehearsal


def tokens_of(job: Job, shared: float = 1.0) -> float:
    """Tokens that all steps compute, from the lengths of the first rows.

    Args:
        job: the run.
        shared: how often a token of a prompt that rows share is counted once.
    """
    sample = job.order.numbers[:2000].tolist()
    per_example = sum(job.store.tokens(n) for n in sample) / len(sample) / shared
    return per_example * job.order.batch_size * job.steps


def estimate(job: Job, found: Rehearsal, shared: float) -> dict[str, Any]:
    """Memory at the peak and time for all steps, from the longest piece."""
    groups = job.optimizer.param_groups
    trained = sum(p.numel() * p.element_size() for group in groups for p in group["params"])
    tokens = tokens_of(job, shared)
    return {
        "steps": job.steps,
        "examples": len(job.order.numbers),
        "tokens": round(tokens),
        "seconds": tokens * found.seconds / max(1, found.tokens),
        "memory_gb": (found.memory + 2 * trained) / 2**30,
        "tokens_per_second": found.tokens / found.seconds,
        "trained": sum(p.numel() for group in groups for p in group["params"]),
        "parameters": sum(p.numel() for p in job.models.policy.inner.parameters()),
    }
