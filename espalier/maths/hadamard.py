"""Random projections without a matrix: the Walsh-Hadamard transform and Fastfood (Le et al., 2013)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << max(0, n - 1).bit_length()


def hadamard(x: Tensor) -> Tensor:
    """H x with the Walsh-Hadamard matrix H of entries +1 and -1, in n log n steps; n a power of two. [..., n]"""
    n, h = x.shape[-1], 1
    while h < n:
        a, b = x.view(*x.shape[:-1], n // (2 * h), 2, h).unbind(-2)
        x = torch.stack([a + b, a - b], -2).view(*x.shape)
        h *= 2
    return x


def fastfood(theta: Tensor, signs: Tensor, order: Tensor, gauss: Tensor, size: int) -> Tensor:
    """P theta: blocks H G_b Pi H B theta one after the other, scaled so that the length of theta is kept on average.

    Args:
        theta: the numbers to be projected. [d]
        signs: B, +1 or -1. [n], n the power of two at or above d
        order: Pi, a permutation. [n]
        gauss: G, standard normal, by block. [blocks, n]
        size: how many numbers are wanted, at most blocks * n.

    Returns:
        [size]
    """
    n = len(signs)
    mixed = hadamard(pad(theta, (0, n - len(theta))) * signs)[order]
    scale = (size * gauss.square().sum(-1, keepdim=True)).sqrt()  # ||H G z||^2 is n sum(G^2) ||theta||^2 on average
    found: Tensor = (hadamard(gauss * mixed) / scale).flatten()[:size]
    return found
