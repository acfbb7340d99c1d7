"""LoRA+: B learns faster than A."""

import pytest
import torch

from espalier.errors import RecipeError
from espalier.objectives.sft import SFT
from espalier.optimizers.adamw import AdamW
from espalier.train.loop import fit
from tests.adapters.kinds import adapter_of, attached, rows, trained
from tests.train.toys import job_of


def test_formula_b_has_its_own_group_at_the_ratio():
    model = attached("lora_plus")
    rest, up = adapter_of("lora_plus", ratio=8.0).groups(list(trained(model).items()))
    assert up["relative_lr"] == 8 and "relative_lr" not in rest
    assert all("lora_B" in name for name, _ in up["params"]) and len(up["params"]) == len(rest["params"])


def test_the_loop_keeps_the_ratio(tmp_path):
    model = attached("lora_plus")
    job = job_of(tmp_path, SFT(), model, rows(8), steps=1, learning_rate=1e-3)
    job.optimizer = AdamW().build(
        [{**g, "lr": 1.0} for g in adapter_of("lora_plus").groups(list(trained(model).items()))]
    )
    before = {name: p.detach().clone() for name, p in trained(model).items()}
    with torch.no_grad():
        for name, p in trained(model).items():  # so that A has a gradient, too
            p.add_(0.01 if "lora_B" in name else 0.0)
            before[name] = p.detach().clone()
    fit(job)
    largest = {part: max((p - before[n]).abs().max().item() for n, p in trained(model).items() if part in n)
               for part in ("lora_A", "lora_B")}  # fmt: skip
    assert largest["lora_B"] / largest["lora_A"] == pytest.approx(16, rel=0.01)  # Adam's first step is the rate


def test_a_ratio_of_zero_is_refused():
    with pytest.raises(RecipeError, match="ratio must be above 0, not 0"):
        adapter_of("lora_plus", ratio=0.0)
