"""Derivatives of f-divergences: what a log-ratio is worth when one of them keeps a policy near its reference."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

Divergence = Literal["reverse_kl", "forward_kl", "jensen_shannon", "alpha"]
LARGEST = 80.0  # exponents beyond it overflow float32


def derivative(log_ratio: Tensor, *, divergence: Divergence, alpha: float = 0.5) -> Tensor:
    """f'(u) of D_f(pi || pi_ref) = E_ref[f(u)] at u = pi / pi_ref.

    reverse_kl: f = u log u, f' = log u + 1. forward_kl: f = -log u, f' = -1 / u.
    jensen_shannon: f = u log u - (u + 1) log((u + 1) / 2), f' = log(2u / (1 + u)).
    alpha: f = (u^(1 - alpha) - (1 - alpha) u - alpha) / (alpha (alpha - 1)), f' = (1 - u^-alpha) / alpha; towards
    alpha = 0 it is the reverse KL, at alpha = 1 the forward KL, each up to a constant.

    Args:
        log_ratio: log u, in nats. [any]
        divergence: which f.
        alpha: of the alpha-divergence, above 0 and below 1.

    Returns:
        f'(u); exponents end at 80, and with them the gradient of completions that much less likely than before. [any]
    """
    match divergence:
        case "reverse_kl":
            return log_ratio + 1
        case "forward_kl":
            return -(-log_ratio).clamp(max=LARGEST).exp()
        case "jensen_shannon":
            return math.log(2) + logsigmoid(log_ratio)
        case "alpha":
            return -(-alpha * log_ratio).clamp(max=LARGEST).expm1() / alpha
