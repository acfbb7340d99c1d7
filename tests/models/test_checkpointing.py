"""Activation checkpointing: the same gradient from less memory, for all layers or some."""

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import ModelError
from espalier.estimating_memory import Alive
from espalier.models import checkpointing
from espalier.models.checkpointing import checkpoint
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from tests.models.tiny import tiny
from tests.train.toys import lora, pair

LAYERS = {"num_hidden_layers": 6}


def gradients(every, layout="trees", adapted=False):
    """The gradient of every trained weight, how many layers are computed again, the bytes alive before the way back."""
    model = tiny("gemma2", **LAYERS | {"layer_types": ["sliding_attention", "full_attention"] * 3})
    model = (lora(model) if adapted else model).train()
    count = checkpoint(model, every) if every else 0
    engine, forest = Engine(model, layout=layout), Forest([pair(seed) for seed in range(4)])
    with Alive() as alive:
        value = engine(forest)["logps"].sum()
        kept = alive.now
    value.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}, count, kept


@pytest.mark.parametrize("layout", ["trees", "rows"])
@pytest.mark.parametrize("adapted", [False, True])
def test_gradients_are_the_same_and_memory_falls_with_the_layers_that_are_computed_again(layout, adapted):
    expected, _, most = gradients(0, layout, adapted)
    sizes = []
    for every, layers in ((1, 6), (2, 3), (3, 2), (4, 2)):
        found, count, kept = gradients(every, layout, adapted)
        assert count == layers
        assert_close(found, expected, rtol=1e-6, atol=1e-6)
        sizes.append(kept)
    assert sizes[0] < sizes[1] < sizes[3] < most
    assert sizes[2] == pytest.approx(sizes[3], rel=0.01)  # layers with a window and without keep unlike masks
    saved = [most - size for size in sizes]
    assert saved[1] == pytest.approx(saved[0] / 2, rel=0.1)


def test_a_model_that_cannot_says_so(monkeypatch):
    monkeypatch.setattr("transformers.modeling_layers.GradientCheckpointingLayer", torch.nn.Bilinear)
    assert checkpoint(tiny("llama"), 1) == 0
    with pytest.raises(ModelError, match="all its layers again or none"):
        checkpoint(tiny("llama"), 2)

    class Without(torch.nn.Module):
        def activation_checkpointing_enable(self, options):
            raise ValueError("not supported")

    monkeypatch.setattr(checkpointing, "base_of", lambda model: model)
    with pytest.raises(ModelError, match="Without cannot compute its activations again"):
        checkpoint(Without(), 1)
