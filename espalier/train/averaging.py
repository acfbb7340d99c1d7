"""Optimizers that train other weights than those they hand over: an average of the weights they have passed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def averaged(optimizer: Any) -> Iterator[None]:
    """Put the weights that an optimizer hands over in place meanwhile; such an optimizer has `eval` and `train`."""
    if not hasattr(optimizer, "eval"):
        yield
        return
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    before = [p.detach().clone() for p in trained]  # going there and back would round them
    optimizer.eval()
    try:
        yield
    finally:
        optimizer.train()
        with torch.no_grad():
            for parameter, value in zip(trained, before, strict=True):
                parameter.copy_(value)
