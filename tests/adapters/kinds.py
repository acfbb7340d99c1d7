"""Every adapter, small enough for a model of two narrow layers, and what tests do with one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from espalier.catalogue import build
from espalier.contracts import Moment
from espalier.handover import handover
from espalier.models.heads import base_of
from espalier.models.roles import Models
from espalier.models.saved import load_adapter
from espalier.objectives.sft import SFT
from espalier.train.checkpoints import whole
from espalier.train.step import optimize
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree
from tests.train.toys import branch, models_of, prepared, small

IDS = torch.arange(3, 15)[None]
KINDS: dict[str, dict[str, Any]] = {
    "adalora": {"rank": 2, "initial_rank": 4, "every": 1},
    "bottleneck": {"size": 4},
    "dora": {"rank": 2},
    "dylora": {"rank": 4},
    "ia3": {},
    "intrinsic": {"dimension": 40},
    "llama_pro": {"every": 1},
    "lora": {"rank": 2},
    "lora_plus": {"rank": 2},
    "p_tuning": {"tokens": 3, "hidden": 8},
    "prefix": {"tokens": 3, "hidden": 8},
    "prompt": {"tokens": 3},
    "rslora": {"rank": 2},
    "vera": {"rank": 8},
}
VIRTUAL = {"p_tuning", "prefix", "prompt"}
OURS = {"bottleneck", "intrinsic", "llama_pro"}  # the others are PEFT's models
PEFTS = sorted(KINDS.keys() - OURS)
MERGING = sorted(KINDS.keys() - VIRTUAL - {"bottleneck", "llama_pro"})


def adapter_of(kind: str, **more: Any) -> Any:
    return build({"method": f"adapters/{kind}", **KINDS[kind], **more})


def attached(kind: str, seed: int = 0, base: Any = None, **more: Any) -> Any:
    """A tiny model with an adapter as it starts, in eval mode."""
    base = small() if base is None else base
    torch.manual_seed(seed)
    return adapter_of(kind, **more).attach(base).eval()


def moved(kind: str, seed: int = 0, base: Any = None, **more: Any) -> Any:
    """The same, as if it had been trained."""
    model = attached(kind, seed, base, **more)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for p in trained(model).values():
            p.add_(torch.randn(p.shape, generator=generator), alpha=0.2)
    return model


def trained(model: Any) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def logits(model: Any, ids: Tensor = IDS) -> Tensor:
    """Of the row itself, without those of virtual tokens."""
    with torch.no_grad():
        found: Tensor = model(ids).logits[:, -ids.shape[1] :]
    return found


def rows(count: int) -> list[Tree]:
    """The same answer to many prompts."""
    draw = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, 59, (count, 4), generator=draw).tolist()
    return [Tree.of([branch(prompt, [7, 9, 11])], weight=1.0) for prompt in prompts]


def steps(kind: str, model: Any, count: int, rate: float, trees: list[Tree] | None = None, **more: Any) -> list[float]:
    """Losses of some steps on the same rows."""
    adapter, objective = adapter_of(kind, **more), SFT()
    models: Models = models_of(objective, model)
    groups = adapter.groups(list(trained(model).items()))
    optimizer = torch.optim.AdamW([group | {"lr": rate * group.get("relative_lr", 1.0)} for group in groups])
    forest = prepared(objective, models, trees or rows(6))
    found = []
    for number in range(count):
        moment = Moment(number, count, torch.Generator().manual_seed(number))
        found.append(optimize(objective, models, forest, optimizer, adapter=adapter, moment=moment)["loss"])
    return found


def saved(model: Any, folder: Path) -> Path:
    """The adapter, or the model, as a run hands it over."""
    tokenizer = SimpleNamespace(save_pretrained=lambda folder: None)
    base_of(model).generation_config.eos_token_id = 2
    handover(model, whole(model), SimpleNamespace(tokenizer=tokenizer, stop_ids=()), folder, base="tiny")
    return folder


def opened(folder: Path, base: Any = None, *, trainable: bool = False) -> Any:
    return load_adapter(small() if base is None else base, str(folder), trainable=trainable).eval()


def logps(model: Any) -> Tensor:
    """Through the engine."""
    with torch.no_grad():
        return Engine(model)(Forest.plant(rows(2), min_shared=1))["logps"]
