"""Checkpoints: what a killed run needs to go on bit for bit. Safetensors and JSON; written aside, then renamed.

checkpoints/step-000120/weights.safetensors    the trained weights
                        roles.safetensors      copies that follow them, where there are any
                        optimizer.safetensors  the optimizer's tensors, "3.exp_avg"
                        state.json             step, best loss so far, the optimizer's plain numbers
checkpoints/best/weights.safetensors           the weights with the lowest held-back loss so far
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from espalier.contracts import Copy, Ema
from espalier.errors import RunError
from espalier.models.adapters import Kept
from espalier.models.roles import Models
from espalier.train import distributed
from espalier.train.averaging import averaged

BEST = "best"


def trained(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, and the numbers that an adapter keeps of them, by name."""
    found: dict[str, Tensor] = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, module in model.named_modules():
        if isinstance(module, Kept):
            found |= {f"{name}.{key}": value for key, value in module.named_buffers()}
    return found


def whole(model: nn.Module) -> dict[str, Tensor]:
    """The trained weights by name, gathered on the CPU. Every rank calls it."""
    return {name: _whole(parameter) for name, parameter in trained(model).items()}


def _whole(value: Tensor) -> Tensor:
    """A tensor gathered from its shards, on the CPU."""
    gathered = value.full_tensor() if hasattr(value, "full_tensor") else value
    return gathered.detach().cpu().contiguous()


def _like(value: Tensor, target: Any) -> Tensor:
    """A whole tensor laid out as `target` is."""
    if not hasattr(target, "device_mesh"):
        return value.to(target.device)
    from torch.distributed.tensor import distribute_tensor

    found: Tensor = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    return found


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    """A folder of files, complete or absent. Values are dicts of tensors (safetensors) or JSON."""
    final, partial = folder / name, folder / f".{name}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for file, value in content.items():
            if file.endswith(".safetensors"):
                save_file(value, partial / file)
            else:
                (partial / file).write_text(json.dumps(value), encoding="utf-8")
            with (partial / file).open("rb") as written:
                os.fsync(written.fileno())
        replaced = folder / f".{name}.{os.getpid()}.old"
        if final.exists():
            final.rename(replaced)
        partial.rename(final)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def save(
    folder: Path, step: int, models: Models, optimizer: torch.optim.Optimizer, state: dict[str, Any], *, keep: int = 2
) -> None:
    """Write the checkpoint of a step; keep the newest complete ones. Every rank calls it, the first writes."""
    content: dict[str, Any] = {"weights.safetensors": whole(models.policy.inner.model)}
    followers = {name: _whole(value) for name, value in following(models).items()}
    content |= {"roles.safetensors": followers} if followers else {}
    content["optimizer.safetensors"], plain = _optimizer_state(optimizer)
    content["state.json"] = {"step": step, "optimizer": plain, **state}
    if distributed.rank() == 0:
        write(folder, f"step-{step:06d}", content)
        for old in {*folder.glob("step-*")} - {*found(folder)[-keep:]}:
            shutil.rmtree(old, ignore_errors=True)


def save_best(folder: Path, step: int, models: Models, optimizer: torch.optim.Optimizer) -> None:
    """Keep the weights with the lowest held-back loss so far. Every rank calls it; the first writes."""
    with averaged(optimizer):
        weights = whole(models.policy.inner.model)
        if distributed.rank() == 0:
            write(folder, BEST, {"weights.safetensors": weights, "step.json": step})


def following(models: Models) -> dict[str, Tensor]:
    """The tensors of roles that follow the policy, by name."""
    moving = {name: role for name, role in models.roles.items() if isinstance(role.kind, Ema | Copy)}
    return {f"{name}.{i}": twin for name, role in moving.items() for i, (_, twin) in enumerate(role.mirror())}


def found(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first; one whose files are damaged is not."""
    return sorted(path for path in folder.glob("step-*") if _readable(path))


def step_of(checkpoint: Path) -> int:
    """Steps that were done when it was written."""
    return int(checkpoint.name.removeprefix("step-"))


def _readable(path: Path) -> bool:
    try:
        json.loads((path / "state.json").read_text(encoding="utf-8"))
        for name in ("weights", "optimizer"):
            with safe_open(path / f"{name}.safetensors", "pt"):  # looks at the file's header and its length
                pass
    except (OSError, ValueError, SafetensorError):
        return False
    return True


def mend(folder: Path) -> None:
    """Put right what a kill in the middle of `write` left: what was set aside comes back, what is half-written goes."""
    for aside in folder.glob(".*.old"):
        final = folder / aside.name[1:].rsplit(".", 2)[0]
        if final.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(final)
    for partial in folder.glob(".*.partial"):
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def load(path: Path, models: Models, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's weights and optimizer state back; returns its state.

    Raises:
        RunError: the checkpoint is of another model or optimizer.
    """
    load_weights(path / "weights.safetensors", models.policy.inner.model)
    followers = following(models)
    if followers:
        _fill(path / "roles.safetensors", followers)
    state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    tensors = load_file(path / "optimizer.safetensors")
    places = [(group, parameter) for group in optimizer.param_groups for parameter in group["params"]]
    for number, (group, parameter) in enumerate(places):
        mine = {key.partition(".")[2]: value for key, value in tensors.items() if key.partition(".")[0] == str(number)}
        counter = parameter.device if group.get("fused") or group.get("capturable") else "cpu"  # where `step` belongs
        mine = {
            key: _like(value, parameter)
            if value.shape == parameter.shape
            else value.to(parameter.device if value.ndim else counter)
            for key, value in mine.items()
        }
        extra = state["optimizer"].get(str(number), {})
        if mine or extra:
            optimizer.state[parameter] = {**mine, **extra}
    return state


def load_weights(file: Path, model: nn.Module) -> None:
    """Put saved weights into the parameters of the same names."""
    _fill(file, trained(model))


def _fill(file: Path, targets: dict[str, Any]) -> None:
    weights = load_file(file)
    if set(weights) != set(targets):
        odd = sorted(set(weights) ^ set(targets))[0]
        raise RunError(f"{file}: the checkpoint is of another model or adapter ({odd!r} is on one side only).")
    with torch.no_grad():
        for name, target in targets.items():
            if weights[name].shape != target.shape:
                raise RunError(f"{file}: the checkpoint is of another model or adapter ({name!r} has another shape).")
            target.copy_(_like(weights[name].to(target.dtype), target))


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """The optimizer's tensors and its plain numbers, by parameter number."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    seen: set[int] = set()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for number, parameter in enumerate(parameters):
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                saved = _whole(value)
                place = saved.untyped_storage().data_ptr()  # 8-bit states share the table of their values
                tensors[f"{number}.{key}"] = saved.clone() if place in seen else saved
                seen.add(place)
            else:
                plain.setdefault(str(number), {})[key] = value
    return tensors, plain
