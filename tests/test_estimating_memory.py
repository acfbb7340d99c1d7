"""What a step takes, counted without numbers: exact where it can be counted by hand, and against real tensors."""

import pytest
import torch

from espalier.adapters.lora import LoRA
from espalier.adapters.vera import VeRA
from espalier.estimating_memory import Alive, Step, cost
from espalier.models.checkpointing import checkpoint
from espalier.models.precision import Precision
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from tests.models.tiny import config_of
from tests.train.toys import pair

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks
TREES = [pair(seed) for seed in range(4)]
PLAIN = Step(Precision("float32"), "cpu")
SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 8}


def test_formula_a_product_is_counted_and_let_go():
    with Alive() as alive:
        a = torch.ones(3, 4)
        b = a @ torch.ones(4, 5)
        assert alive.now == 4 * (12 + 15) and alive.peak == 4 * (12 + 20 + 15)
        assert alive.flops == 2 * 3 * 4 * 5
        assert a[1:].numel() == 8 and alive.now == 108  # a view is nothing new
        del a, b
        assert alive.now == 0 and alive.take_peak() == 188 and alive.peak == 0


@pytest.mark.parametrize("every", [0, 1, 2])
def test_equals_what_real_tensors_take(every):
    from transformers import AutoModelForCausalLM

    config = config_of("llama", **SHAPE)
    found = cost(config, TREES, Step(Precision("float32"), "cpu", checkpoint=every))
    with Alive() as alive:
        model = AutoModelForCausalLM.from_config(config).train()
        weights = alive.now
        if every:
            checkpoint(model, every)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        engine, forest = Engine(model), Forest(TREES)
        tile = int(forest.layout.targets.numel())
        engine.tile = tile
        alive.take_peak()
        flops = alive.flops
        engine(forest)["logps"].sum().backward()
    assert found.parameters == found.trained == sum(p.numel() for p in model.parameters())
    assert found.weights == pytest.approx(weights, rel=0.02)
    assert found.peak == pytest.approx(alive.peak, rel=0.02)
    assert found.flops == pytest.approx(alive.flops - flops, rel=0.02)


@pytest.mark.parametrize("name", ["qwen3", "gpt2", "gemma3_text"])
def test_a_few_layers_stand_for_all(name, monkeypatch):
    kinds = ["sliding_attention", "full_attention"] * 4
    layers = {"n_layer": 8} if name == "gpt2" else {"num_hidden_layers": 8}
    config = config_of(name, **layers, **({"layer_types": kinds} if "gemma" in name else {}))
    few = cost(config, TREES, PLAIN)
    monkeypatch.setattr("espalier.estimating_memory.FEW", 4)  # then all eight are computed
    whole = cost(config, TREES, PLAIN)
    assert (few.parameters, few.trained) == (whole.parameters, whole.trained)
    assert few.peak == pytest.approx(whole.peak, rel=0.03)
    assert few.flops == pytest.approx(whole.flops, rel=1e-6)


def test_what_each_way_saves():
    config = config_of("llama", **SHAPE)
    lora = LoRA(rank=4).attach
    full, again = cost(config, TREES, PLAIN), cost(config, TREES, Step(PLAIN.precision, "cpu", checkpoint=1))
    fused = cost(config, TREES, Step(PLAIN.precision, "cpu", fused=True))
    adapted = cost(config, TREES, Step(PLAIN.precision, "cpu", lora))
    few = cost(config, TREES, Step(PLAIN.precision, "cpu", lora, "nf4"))
    assert again.peak < full.peak and again.flops > 1.2 * full.flops
    assert fused.peak < full.peak - 0.5 * full.weights
    assert adapted.peak < full.peak
    sides = {"q": 64 + 64, "k": 64 + 32, "v": 64 + 32, "o": 64 + 64, "gate": 192, "up": 192, "down": 192}
    assert adapted.trained == 8 * 4 * sum(sides.values())
    assert few.parameters == adapted.parameters and few.trained == adapted.trained
    linear = 8 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    assert adapted.weights - few.weights == pytest.approx(linear * (4 - 4.127 / 8), rel=1e-3)
    assert few.peak < adapted.peak


def test_adapters_that_share_their_matrices_are_counted_too():
    config = config_of("llama", **SHAPE)
    found = cost(config, TREES, Step(PLAIN.precision, "cpu", VeRA(rank=8).attach))
    assert 0 < found.trained < 8 * 7 * (8 + 128)
