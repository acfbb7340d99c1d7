"""FlexAttention over a forest, against the portable attention."""

import pytest
import torch
from torch import Tensor, nn

from espalier.trees.attention import Rule, attend
from espalier.trees.flex import BLOCK, block_mask, flex, visible
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree
from tests.trees.exact import garden, path
from tests.trees.test_attention import seen

uncompiled = pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile.*:UserWarning")
RULES = [
    (Rule(0.4), None),
    (Rule(0.4, window=4), None),
    (Rule(0.4, softcap=1.5), None),
    (Rule(0.4), torch.tensor([0.5, -1.0, 2.0, 0.1])),
    (Rule(2.0, softcap=0.7, window=3), torch.zeros(4)),
]


def larger() -> list[Tree]:
    """A garden of several blocks, and a prompt over a block's border."""
    ids = torch.randint(3, 60, (400,)).tolist()
    return [*garden(), Tree((path(ids[:200], ids[200:290]), path(ids[:200], ids[290:])))]


@pytest.mark.parametrize("window", [None, 1, 5])
def test_equals_the_mask_written_out(window):
    layout = Forest.plant(larger(), min_shared=1).layout
    tokens = layout.ids.numel()
    size = -(-tokens // BLOCK) * BLOCK
    places = torch.arange(size)
    mask = visible(layout, window)(None, None, places[:, None], places[None])
    assert torch.equal(mask[:tokens, :tokens], seen(layout, window))
    assert not mask[:tokens, tokens:].any() and mask.any(1).all(), (
        "what fills up the last block is not seen by the stream"
    )
    blocks = block_mask(layout, window)
    tiles = mask.view(size // BLOCK, BLOCK, size // BLOCK, BLOCK).any(3).any(1)
    assert torch.equal(blocks.to_dense()[0, 0].bool(), tiles)
    assert blocks.shape[-2:] == (size, size) and blocks.sparsity() > 20


@uncompiled
@pytest.mark.parametrize(("rule", "sinks"), RULES)
@pytest.mark.parametrize("trees", [garden, larger])
def test_equals_portable_attention(trees, rule, sinks):
    layout = Forest.plant(trees(), min_shared=1).layout
    q, k, v = (torch.randn(1, h, layout.ids.numel(), 16) for h in (4, 2, 2))
    with torch.no_grad():
        got = flex(q, k, v, sinks, layout, rule)
        want = portable(q, k, v, sinks, layout, rule)
    torch.testing.assert_close(got.transpose(1, 2), want, atol=1e-5, rtol=0)
    assert ("flex", rule.window) in layout.cached


def portable(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor | None, layout, rule: Rule) -> Tensor:
    """What the portable attention makes of the same. [1, N, heads, D]"""
    options = {"scaling": rule.scaling, "softcap": rule.softcap, "sliding_window": rule.window, "s_aux": sinks}
    return attend(nn.Identity(), q, k, v, None, forest=layout, **options)[0]


@pytest.mark.gpu
@pytest.mark.parametrize(("rule", "sinks"), RULES)
def test_equals_portable_attention_and_its_gradients_on_cuda(rule, sinks):
    forest = Forest.plant(larger(), min_shared=1)
    q, k, v = (torch.randn(1, h, forest.layout.ids.numel(), 64, requires_grad=True) for h in (4, 2, 2))
    given = [q, k, v] if sinks is None else [q, k, v, sinks.clone().requires_grad_()]
    want = portable(q, k, v, given[3] if sinks is not None else None, forest.layout, rule)
    slope = torch.randn_like(want)
    expected = torch.autograd.grad(want, given, slope)
    there = [x.detach().cuda().requires_grad_() for x in given]
    out = flex(*there[:3], there[3] if sinks is not None else None, forest.to("cuda").layout, rule).transpose(1, 2)
    torch.testing.assert_close(out.cpu(), want, atol=1e-2, rtol=0)  # tensor cores round float32 to 10 bits
    for got, gradient in zip(torch.autograd.grad(out, there, slope.cuda()), expected, strict=True):
        assert (got.cpu() - gradient).abs().max() <= 2e-2 * gradient.abs().max()
