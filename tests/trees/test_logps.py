"""Log-probabilities in tiles."""

import math

import pytest
import torch

from espalier.trees import logps
from espalier.trees.logps import Contextual, Head, entropy, token_logps

WIDE = torch.float64
HEADS = [{}, {"scale": 0.25}, {"softcap": 2.0}, {"scale": 3.0, "softcap": 1.5}]


def test_formula_log_probability_and_entropy():
    # Two tokens with logits 1 and 3, scaled by 0.5 and capped at 2: z = 2 tanh(0.25), 2 tanh(0.75)
    head = Head(torch.tensor([[1.0], [3.0]], dtype=WIDE), scale=0.5, softcap=2.0)
    z = [2 * math.tanh(0.5 * logit / 2) for logit in (1.0, 3.0)]
    total = math.log(sum(map(math.exp, z)))
    p = [math.exp(value - total) for value in z]
    found = token_logps(torch.ones(1, 1, dtype=WIDE), head, torch.tensor([1]), functionals={"entropy": entropy})
    assert found["logps"].item() == pytest.approx(z[1] - total, rel=1e-12)
    assert found["entropy"].item() == pytest.approx(-sum(x * math.log(x) for x in p), rel=1e-12)


@pytest.mark.parametrize("given", HEADS)
@pytest.mark.parametrize("trained", ["all", "bias", "hidden"])
@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_formula_gradients(monkeypatch, given, trained, kept):
    monkeypatch.setattr(logps, "KEPT_BYTES", kept)
    hidden, weight, bias = torch.randn(7, 5, dtype=WIDE), torch.randn(9, 5, dtype=WIDE), torch.randn(9, dtype=WIDE)
    targets = torch.randint(0, 9, (7,))
    hidden.requires_grad_(trained != "bias")
    weight.requires_grad_(trained == "all")
    bias.requires_grad_(trained != "hidden")
    functionals = {"entropy": entropy} if kept else {}

    def tiled(h, w, b):
        return tuple(token_logps(h, Head(w, b, **given), targets, tile=3, functionals=functionals).values())

    assert torch.autograd.gradcheck(tiled, (hidden, weight, bias))
    whole = Head(weight, bias, **given).logits(hidden).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(tiled(hidden, weight, bias)[0], whole, atol=1e-12, rtol=0)


def test_property_no_tokens_give_no_values():
    hidden, head = torch.randn(0, 5, requires_grad=True), Head(torch.randn(9, 5))
    found = token_logps(hidden, head, torch.empty(0, dtype=torch.long), functionals={"entropy": entropy})
    assert found["logps"].shape == found["entropy"].shape == (0,)
    assert found["logps"].dtype == torch.float32


def test_property_low_precision_products_are_summed_in_float32():
    hidden, weight = torch.randn(20, 64), torch.randn(500, 64)
    targets = torch.arange(20)
    exact = token_logps(hidden, Head(weight), targets)["logps"]
    coarse = token_logps(hidden, Head(weight), targets, compute=torch.bfloat16)["logps"]
    assert coarse.dtype == torch.float32
    assert (coarse - exact).abs().max() < 0.2  # logits up to 30, rounded to 8 bits


def test_a_functional_of_several_values_and_one_without_a_gradient():
    hidden, head, targets = torch.randn(5, 4, requires_grad=True), Head(torch.randn(6, 4)), torch.arange(5)
    functionals = {"two": lambda z, y: z[:, :2], "rank": lambda z, y: (z > z.gather(1, y[:, None])).sum(-1)}
    found = token_logps(hidden, head, targets, tile=2, functionals=functionals)
    assert found["two"].shape == (5, 2) and found["rank"].dtype == torch.long
    (gradient,) = torch.autograd.grad(found["two"].sum(), hidden)
    torch.testing.assert_close(gradient, head.weight[:2].sum(0).expand(5, 4))


def test_a_contextual_functional_is_told_what_stands_before_each_target_in_both_passes():
    hidden, head, targets = torch.randn(5, 4, requires_grad=True), Head(torch.randn(6, 4)), torch.arange(5)
    seen = torch.rand(5, 6) < 0.5
    functionals = {"seen": Contextual(lambda z, y, before: (z * before).sum(-1))}
    options = {"tile": 2, "functionals": functionals, "seen": lambda part, size: seen[part, :size]}
    found = token_logps(hidden, head, targets, **options)["seen"]
    torch.testing.assert_close(found, (head.logits(hidden) * seen).sum(-1))
    (gradient,) = torch.autograd.grad(found.sum(), hidden)
    torch.testing.assert_close(gradient, seen.float() @ head.weight)
    with pytest.raises(ValueError, match="needs `seen`"):
        token_logps(hidden, head, targets, functionals=functionals)
