"""The portable attention over a forest, against dense attention with the mask written out."""

import pytest
import torch
from torch import Tensor, nn

from espalier.trees.attention import attend, blocks
from espalier.trees.forest import Forest
from espalier.trees.layout import Layout
from tests.trees.exact import garden

WIDE = torch.float64
RULES = [
    {},
    {"sliding_window": 4},
    {"softcap": 1.5},
    {"s_aux": torch.tensor([0.5, -1.0, 2.0, 0.1], dtype=WIDE)},
    {"sliding_window": 3, "softcap": 0.7, "s_aux": torch.zeros(4, dtype=WIDE), "scaling": 2.0},
]


def seen(layout: Layout, window: int | None) -> Tensor:
    """Which token sees which, from the parents of nodes alone. [N, N]"""
    above = [{*chain, n} for n, chain in enumerate(layout.ancestors)]
    ids = layout.node_of.tolist()
    kin = torch.tensor([[ids[k] in above[ids[q]] for k in range(len(ids))] for q in range(len(ids))])
    distance = layout.positions[:, None] - layout.positions[None]
    return kin & (distance >= 0) & (distance < (window or len(ids)))


def dense(q, k, v, layout, scaling=None, softcap=None, sliding_window=None, s_aux=None):
    """Attention as its definition says. [1, heads, N, D] -> [1, N, heads, D]"""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores.masked_fill(~seen(layout, sliding_window), -torch.inf)
    sink = scores.new_full((1, q.shape[1], q.shape[2], 1), -torch.inf)
    sink = sink if s_aux is None else s_aux[None, :, None, None].expand_as(sink)
    return (torch.cat([scores, sink], -1).softmax(-1)[..., :-1] @ v).transpose(1, 2)


def heads(layout: Layout, dtype: torch.dtype = WIDE) -> list[Tensor]:
    n = layout.ids.numel()
    return [torch.randn(1, h, n, d, dtype=dtype, requires_grad=True) for h, d in ((4, 6), (2, 6), (2, 5))]


@pytest.mark.parametrize("rule", RULES)
def test_equals_dense_attention(rule):
    layout = Forest.plant(garden(), min_shared=1).layout
    given = {n: x.clone().requires_grad_() if isinstance(x, Tensor) else x for n, x in rule.items()}
    q, k, v = heads(layout)
    inputs = [q, k, v, *(x for x in given.values() if isinstance(x, Tensor))]
    want = dense(q, k, v, layout, **given)
    got, weights = attend(nn.Identity(), q, k, v, None, forest=layout, **given)
    assert weights is None and got.is_contiguous()
    torch.testing.assert_close(got, want, atol=1e-12, rtol=0)
    slope = torch.randn_like(want)
    for one, other in zip(
        torch.autograd.grad(got, inputs, slope), torch.autograd.grad(want, inputs, slope), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize("window", [None, 1, 4])
def test_blocks_hold_every_query_once_and_the_keys_it_sees(window):
    layout = Forest.plant(garden(), min_shared=1).layout
    mask = seen(layout, window)
    queries = []
    for block in blocks(layout, window, size=3):
        keys = torch.cat([torch.arange(a, b) for a, b in block.runs])
        assert layout.positions[keys].tolist() == list(range(block.offset, block.offset + block.keys))
        needed = mask[block.begin : block.end].any(0).nonzero()[:, 0]
        assert set(needed.tolist()) <= set(keys.tolist())
        queries += range(block.begin, block.end)
    assert queries == list(range(layout.ids.numel()))


def test_property_dropout_keeps_the_mean_and_its_gradient_is_exact():
    layout = Forest.plant(garden()[-3:]).layout
    q, k, v = heads(layout)
    with torch.no_grad():
        plain, _ = attend(nn.Identity(), q, k, v, None, forest=layout)
        draws = torch.stack([attend(nn.Identity(), q, k, v, None, dropout=0.25, forest=layout)[0] for _ in range(1500)])
    error = draws.std(0) / len(draws) ** 0.5
    assert error.max() > 0
    assert ((draws.mean(0) - plain).abs() <= 5 * error + 1e-12).all()  # five standard errors

    def drawn(*qkv):
        torch.manual_seed(7)  # the same tokens are dropped in every evaluation
        return attend(nn.Identity(), *qkv, None, dropout=0.25, forest=layout)[0]

    assert torch.autograd.gradcheck(drawn, (q, k, v), fast_mode=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"forest": None}, "Identity did not hand on the forest"),
        ({"position_bias": torch.zeros(1)}, "hands over position_bias"),
        ({"head_mask": torch.ones(1), "cache_position": torch.ones(1)}, "hands over head_mask, which"),
        ({"is_causal": False}, "hands over is_causal=False"),
        ({"attention_mask": torch.zeros(1)}, "hands over a mask"),
    ],
)
def test_what_is_not_implemented_is_refused(given, sentence):
    layout = Forest.plant(garden()).layout
    q, k, v = heads(layout)
    with pytest.raises(ValueError, match=sentence):
        attend(nn.Identity(), q, k, v, **{"attention_mask": None, "forest": layout, **given})


def test_another_length_than_the_forest_is_refused():
    layout = Forest.plant(garden()).layout
    q, k, v = (x[:, :, 1:] for x in heads(layout))
    with pytest.raises(ValueError, match="a batch or a cache"):
        attend(nn.Identity(), q, k, v, None, forest=layout)
