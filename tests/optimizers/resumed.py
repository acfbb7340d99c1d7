"""What tests of optimizers share: a tiny job that any optimizer trains, and one that is cut in two by a checkpoint."""

from pathlib import Path
from typing import Any

import torch

from espalier.objectives.sft import SFT
from espalier.train import checkpoints
from espalier.train.averaging import averaged
from espalier.train.loop import fit
from tests.train.toys import job_of, single, small

TREES = [single(seed) for seed in range(8)]
WIDE = {"hidden_size": 64, "intermediate_size": 96}  # some matrices of more than 4,096 weights


def job(folder: Path, method: Any, *, rate: float = 1e-3, steps: int = 6, **more: Any) -> Any:
    """SFT of every weight of a tiny model."""
    made = job_of(folder, SFT(), small(**WIDE).train(), TREES, steps=steps, learning_rate=rate, **more)
    named = [(name, p) for name, p in made.models.policy.inner.named_parameters() if p.requires_grad]
    made.optimizer = method.build([{"params": named, "lr": rate}])
    return made


def same_after_a_checkpoint(folder: Path, method: Any, **more: Any) -> bool:
    """Whether three steps, a checkpoint and three more end at the bits that six steps end at."""
    through, first, again = (job(folder / name, method, **more) for name in "abc")
    fit(through)
    first.steps = 3
    fit(first)
    checkpoints.save(folder, 3, first.models, first.optimizer, {"best": 1.0})
    checkpoints.load(folder / "step-000003", again.models, again.optimizer)
    fit(again, start=3)
    ends = []
    for made in (through, again):
        with averaged(made.optimizer):
            ends.append({name: value.clone() for name, value in made.models.policy.inner.state_dict().items()})
    untouched = {f"model.{name}": value for name, value in small(**WIDE).state_dict().items()}
    assert any(not torch.equal(value, ends[0][name]) for name, value in untouched.items())
    return all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def losses(folder: Path, method: Any, *, rate: float, steps: int = 30, **more: Any) -> list[float]:
    """The loss at each step."""
    found: list[float] = []
    made = job(folder, method, rate=rate, steps=steps, batch_size=8, **more)
    fit(made, listen=lambda event: found.append(event.values["loss"]) if event.kind == "step" else None)
    return found
