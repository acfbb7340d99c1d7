"""Odds of a probability that is given as its logarithm, without overflow or cancellation at 0 and at 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAREST = -1e-6  # log p nearest to 0: a probability of 1 has infinite odds, and float32 no gradient there


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)), exact for x near 0 and for x far below it (Maechler, 2012).

    Args:
        x: logarithms of probabilities, below 0. [any]
    """
    near = x > -math.log(2)
    close, far = torch.where(near, x, -1.0), torch.where(near, -1.0, x)  # an unused branch must not be 0 times inf
    return torch.where(near, torch.log(-torch.expm1(close)), torch.log1p(-torch.exp(far)))


def log_odds(logp: Tensor) -> Tensor:
    """log(p / (1 - p)) from log p; finite, with a finite gradient, for every p from 0 to 1.

    Args:
        logp: log p, in nats; taken as -1e-6 at most where 1 - p is computed. [any]
    """
    return logp - log1mexp(logp.clamp(max=NEAREST))
