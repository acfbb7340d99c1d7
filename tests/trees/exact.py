"""What exactness is measured with: a garden of awkward trees, and a model's own forward, one completion at a time."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from espalier.models.heads import base_of
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from tests.models.tiny import tiny

BOS = 1


def path(prompt: Sequence[int], completion: Sequence[int], mask: Sequence[bool] | None = None) -> Branch:
    """A completion whose tokens all count, or those the mask says."""
    counted = [False] * len(prompt) + [True] * len(completion) if mask is None else mask
    return Branch(np.array([*prompt, *completion], np.int32), np.array(counted, bool))


def garden() -> list[Tree]:
    """Every shape of tree that has gone wrong somewhere."""
    ids = np.random.default_rng(3).integers(3, 60, 200).tolist()
    prompt, header, passage = [BOS, *ids[:11]], [BOS, *ids[11:20]], ids[20:29]
    words = [ids[30 + 6 * i : 36 + 6 * i] for i in range(8)]
    eight = [words[0], words[0][:3], words[0], words[1][:1], words[0] + words[1], *words[2:5]]
    turns = [i % 5 in (2, 3) for i in range(14)]
    return [
        Tree(
            tuple(path(prompt, completion) for completion in eight)
        ),  # a prefix of another, twins, one token, a long one
        Tree((path(header + passage, words[5]), path(header + passage, words[6]), path(header, words[7]))),
        Tree((path(prompt, words[6]), path(prompt, words[0]))),  # shares its prompt with another example
        Tree((path([BOS], words[5]), path([BOS], words[1]))),  # nothing but BOS before it
        Tree((path([], words[6]),)),  # nothing at all: the first token is not scored
        Tree((path(ids[:1], ids[1:2]),)),
        Tree((path([], header + words[3][:4], turns),)),  # turns that count and turns that do not
    ]


@cache
def model(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """A tiny model, made once; not to be changed."""
    return tiny(name).to(dtype)


def own_logits(model: nn.Module, path: Branch) -> Tensor:
    """The model's own unmodified forward of one completion alone. [L, V]"""
    logits: Tensor = model(input_ids=torch.from_numpy(path.ids).long()[None], use_cache=False).logits[0]
    return logits


def per_token(model: nn.Module, trees: Sequence[Tree], value: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A function of (logits, targets) at each counted token, from the model's own forward. [tokens, ...]"""
    found = []
    for branch in (branch for tree in trees for branch in tree.branches):
        targets = torch.from_numpy(branch.ids[branch.counted]).long()
        found.append(value(own_logits(model, branch)[branch.counted - 1], targets))
    return torch.cat(found)


def own_logps(model: nn.Module, trees: Sequence[Tree]) -> Tensor:
    """log p of each counted token. [tokens]"""
    return per_token(model, trees, lambda logits, y: logits.log_softmax(-1).gather(1, y[:, None])[:, 0])


def gradients(model: nn.Module, values: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """The gradient of a random weighted sum in every trained parameter."""
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = (values * weights.to(values.dtype)).sum()
    found = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    return {name: g for name, g in zip(trained, found, strict=True) if g is not None}


def assert_same(got: dict[str, Tensor], want: dict[str, Tensor], tolerance: float) -> None:
    """Gradients agree to a share of the largest of each parameter (those of a key's bias are zero but for rounding)."""
    assert got.keys() == want.keys() and got
    largest = {name: float(gradient.abs().max()) for name, gradient in want.items()}
    for name, gradient in want.items():
        scale = max(largest[name], 1e-2 * max(largest.values()))
        off = float((got[name] - gradient).abs().max()) / scale
        assert off <= tolerance, f"{name} is off by {off:.1e} of {scale:.1e}"


class _Wide(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def widened(x: Any) -> Any:
            return torch.float64 if x is torch.float32 else x

        func = torch.Tensor.double if func is torch.Tensor.float else func
        return func(*map(widened, args), **{name: widened(x) for name, x in (kwargs or {}).items()})


@contextlib.contextmanager
def computed_in(dtype: torch.dtype) -> Iterator[None]:
    """In float64 everything is: norms, rotary positions and softmaxes of the models ask for float32."""
    with _Wide() if dtype == torch.float64 else contextlib.nullcontext():
        yield


def compare(
    model: nn.Module,
    engine: nn.Module,
    trees: Sequence[Tree],
    dtype: torch.dtype,
    min_shared: int = 1,
) -> None:
    """Log-probabilities and every gradient of the engine are those of the model's own forward."""
    # float32 sums over 200 tokens and 60 logits; 1e-5 of the largest is what two orders of summation differ by
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    with computed_in(dtype):
        want = own_logps(model, trees)
        got = engine(Forest.plant(trees, min_shared=min_shared))["logps"]
        assert got.dtype == want.dtype == dtype
        torch.testing.assert_close(got, want, atol=tolerance, rtol=0)
        assert_same(gradients(model, got), gradients(model, want), 4 * tolerance)
    assert base_of(model).config._attn_implementation in ("sdpa", "eager")
