"""What a step holds in memory and computes, found by doing it without numbers: no weight is read, none is made.

The model is made from its config with tensors that have shapes and no content; the engine runs a piece forward and
backward on them, and what is alive is added up at every operation. All layers cost the same, so a few stand for all.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from espalier.models.adapters import linear_layers
from espalier.models.blocks import layers_of
from espalier.models.checkpointing import checkpoint
from espalier.models.load import quietly
from espalier.models.precision import Precision
from espalier.models.quant import NF4_BITS
from espalier.trees import attention
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.logps import ELSEWHERE, SMALLEST_TILE, TILE_BYTES
from espalier.trees.tree import Tree

FEW = 2  # layers that are tried, and twice as many; where every third is computed again, 3 and 6
BITS = {"nf4": NF4_BITS, "int8": 8.0}

Attach = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Step:
    """How a piece is computed."""

    precision: Precision
    device: str
    attach: Attach | None = None  # an adapter; without one every weight is trained
    quantize: str | None = None
    checkpoint: int = 0  # every so many-th layer is computed again
    fused: bool = False  # gradients are let go as they come


@dataclass(frozen=True)
class Cost:
    """What a piece takes: parameters, bytes of their weights, bytes alive at the peak, operations, traffic."""

    parameters: float
    trained: float
    weights: float
    peak: float
    flops: float  # of matrix products
    traffic: float  # bytes that all other operations write


def cost(config: Any, trees: Sequence[Tree], step: Step) -> Cost:
    """What one piece of these examples takes.

    Args:
        config: the model's.
        trees: the examples of the piece.
        step: how it is computed.
    """
    layers = config.get_text_config().num_hidden_layers
    some = max(FEW, step.checkpoint)
    if layers <= 2 * some:
        return _joined(_run(config, trees, step))
    few, more = (_run(_shortened(config, count), trees, step) for count in (some, 2 * some))
    return _joined({name: few[name] + (layers / some - 1) * (more[name] - few[name]) for name in few})


def _joined(found: dict[str, float]) -> Cost:
    """The peak lies where the backward pass begins or where it ends; each alone grows evenly with the layers."""
    peak = max(found.pop("early"), found.pop("late"))
    return Cost(peak=peak, **found)


def _shortened(config: Any, layers: int) -> Any:
    """The config with its first layers alone."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    for name, value in vars(text).items():  # what it lists by layer
        if isinstance(value, list | tuple) and len(value) == text.num_hidden_layers:
            setattr(text, name, value[:layers])
    text.num_hidden_layers = layers
    return config


def _run(config: Any, trees: Sequence[Tree], step: Step) -> dict[str, float]:
    forest = Forest(list(trees))
    attention._after.cache_clear()  # masks with content and without must not meet
    scored = int(forest.layout.targets.numel())
    with quietly():
        model = _hollow(config, step)
    with FakeTensorMode(allow_non_fake_inputs=True), Alive() as alive:
        _fill(model, alive)
        found: dict[str, float] = {
            "parameters": _parameters(model),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "weights": alive.now,
        }
        for p in model.parameters():
            if p.requires_grad and step.fused:
                p.register_post_accumulate_grad_hook(_let_go)
            elif p.requires_grad:
                p.grad = torch.empty_like(p)  # that of the pieces before
        tile = max(SMALLEST_TILE, TILE_BYTES.get(step.device, ELSEWHERE) // (4 * config.get_text_config().vocab_size))
        engine = Engine(model.train(), autocast=step.precision.autocast, tile=min(tile, scored))
        marks = _watch(model, alive)
        value = engine(forest)["logps"].sum()
        value.backward()
        early = marks[0] if marks else alive.peak
        found |= {"early": early, "late": alive.peak, "flops": alive.flops, "traffic": alive.traffic}
    attention._after.cache_clear()
    return found


def _parameters(model: nn.Module) -> int:
    """Weights that are packed count as what they stand for."""
    packed = [layer for layer in model.modules() if isinstance(layer, _Packed)]
    sizes = {id(layer.weight): layer.in_features * layer.out_features for layer in packed}
    return sum(sizes.get(id(p), p.numel()) for p in model.parameters())


def _let_go(parameter: Tensor) -> None:
    parameter.grad = None


def _watch(model: nn.Module, alive: Alive) -> list[float]:
    """Note the peak when the backward pass is through all layers but the first, and begin a new one."""
    marks: list[float] = []

    def caught(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor) and inputs[0].requires_grad:
            inputs[0].register_hook(lambda _: marks.append(alive.take_peak()) if not marks else None)

    layers_of(model)[1].register_forward_pre_hook(caught)
    return marks


def _hollow(config: Any, step: Step) -> nn.Module:
    """The model on torch's meta device, with its adapter and quantized layers."""
    from transformers import AutoModelForCausalLM

    dtype = step.precision.frozen_weights(trains_all=step.attach is None)
    with torch.device("meta"):
        model: nn.Module = AutoModelForCausalLM.from_config(config, dtype=dtype).requires_grad_(step.attach is None)
        frozen = {id(layer): layer for layer in linear_layers(model).values()}
        if step.attach is not None:
            model = step.attach(model)
        if step.quantize is not None:
            for parent in list(model.modules()):
                for name, child in list(parent.named_children()):
                    if id(child) in frozen and isinstance(child, nn.Linear):
                        setattr(parent, name, _Packed(child, BITS[step.quantize]))
    if step.checkpoint:
        checkpoint(model, step.checkpoint)
    return model


def _fill(model: nn.Module, alive: Alive) -> None:
    """Put tensors without content, of the device that the engine asks for, in place of those of the meta device."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, value in store.items():
                if value is None:
                    continue
                if id(value) not in made:
                    empty = torch.empty(value.shape, dtype=value.dtype)
                    parameter = isinstance(value, nn.Parameter)
                    made[id(value)] = nn.Parameter(empty, value.requires_grad) if parameter else empty
                store[name] = made[id(value)]  # type: ignore[assignment]


class _Packed(nn.Module):
    """A linear layer whose weights are unpacked for each product, and not kept."""

    def __init__(self, layer: nn.Linear, bits: float) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bias = layer.in_features, layer.out_features, layer.bias
        self.dtype = layer.weight.dtype
        size = int(layer.weight.numel() * bits / 8)
        self.weight = nn.Parameter(torch.empty(size, dtype=torch.uint8), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """A product with the weights as they would be unpacked."""
        shape = (self.out_features, self.in_features)
        out: Tensor = _Unpack.apply(x, self.weight, shape, self.dtype)  # type: ignore[no-untyped-call]
        return out if self.bias is None else out + self.bias


class _Unpack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:
        ctx.shape = shape
        ctx.dtype = dtype
        return x.to(dtype) @ torch.empty(shape, dtype=dtype).t()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad.to(ctx.dtype) @ torch.empty(ctx.shape, dtype=ctx.dtype), None, None, None


class Alive(TorchDispatchMode):
    """Bytes of all tensors that something still holds, operations of matrix products, bytes that the others write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.flops = self.traffic = 0.0
        self.known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and count what it makes."""
        out = func(*args, **(kwargs or {}))
        product = flop_registry.get(func._overloadpacket)
        if product is not None:
            self.flops += product(*args, **(kwargs or {}), out_val=out)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.traffic += 0 if product is not None or func.is_view else tensor.nbytes
                self._add(tensor)
        return out

    def take_peak(self) -> float:
        """The peak so far; a new one begins."""
        found, self.peak = self.peak, self.now
        return float(found)

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return

        def gone(_: Any) -> None:
            self.now -= size
            self.known.pop(key, None)

        self.known[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)
