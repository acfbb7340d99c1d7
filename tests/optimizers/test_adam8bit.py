"""8-bit Adam: AdamW with its state rounded, through bitsandbytes."""

import sys

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.optimizers.adam8bit import Adam8bit
from espalier.optimizers.adamw import AdamW
from tests.optimizers.resumed import losses, same_after_a_checkpoint

pytest.importorskip("bitsandbytes")
LARGE = 80  # squared: more than the 4,096 weights below which 32 bits are kept


def ends(method, size, steps=10):
    draw = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(size, size, generator=draw))
    target = torch.randn(size, size, generator=draw)
    optimizer = method.build([{"params": [("weight", weight)], "lr": 0.01}])
    for _ in range(steps):
        optimizer.zero_grad()
        ((weight - target) ** 2).sum().backward()
        optimizer.step()
    return weight.detach(), optimizer.state[weight]


def test_formula_the_first_step_is_the_rate():
    # m/(1-b1) = g and v/(1-b2) = g^2 whatever the state is rounded to afterwards, so each weight moves by the rate
    draw = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(LARGE, LARGE, generator=draw))
    before, sign = weight.detach().clone(), torch.randn(LARGE, LARGE, generator=draw).sign()
    optimizer = Adam8bit().build([{"params": [("weight", weight)], "lr": 0.01}])
    (weight * sign * 3).sum().backward()
    optimizer.step()
    assert_close(weight.detach(), before - 0.01 * sign, rtol=0, atol=1e-5)


def test_equals_adamw_exactly_where_it_keeps_32_bits_and_closely_where_not():
    options = {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}
    exact, near = ends(Adam8bit(**options), 40), ends(Adam8bit(**options), LARGE)
    assert_close(exact[0], ends(AdamW(**options), 40)[0], rtol=1e-5, atol=1e-5)
    theirs = ends(AdamW(**options), LARGE)[0]
    assert_close(near[0], theirs, rtol=0, atol=0.02)  # the way is 0.1 long; 8 bits leave a few percent
    assert not torch.equal(near[0], theirs)


def test_its_state_takes_two_bytes_and_little_more_a_weight():
    _, state = ends(Adam8bit(), 512, steps=1)
    size = sum(
        value.numel() * value.element_size() for name, value in state.items() if name not in ("step", "qmap1", "qmap2")
    )
    assert size / 512**2 == pytest.approx(2 + 2 * 4 / 256, rel=1e-6)


def test_learns(tmp_path):
    found = losses(tmp_path, Adam8bit(), rate=3e-3)
    assert found[-1] < 0.5 * found[0]


def test_a_resumed_run_ends_at_the_same_bits(tmp_path):
    assert same_after_a_checkpoint(tmp_path, Adam8bit())


def test_what_is_missing_is_named(monkeypatch):
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match="paged needs a GPU"):
            Adam8bit(paged=True).build([])
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(RecipeError, match=r"pip install 'espalier-lm\[quant\]'"):
        Adam8bit().build([])
