"""Weights in few bits: the paper's codebook and bits per weight, QLoRA beside LoRA, and every path of a run."""

import json
import math
import statistics
import sys

import pytest
import torch

from espalier import tuning
from espalier.adapters.lora import LoRA
from espalier.errors import ModelError, RecipeError
from espalier.models import quant
from espalier.models.load import load_model
from espalier.objectives.sft import SFT
from espalier.train.loop import fit
from tests import running
from tests.models.tiny import tiny
from tests.models_on_disk import recipe_of, save_model
from tests.train.toys import job_of, single

bitsandbytes = pytest.importorskip("bitsandbytes")
quick = running.quick
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks
# QLoRA, Appendix E
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip
WIDE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("wide")
    tiny("llama", **WIDE).save_pretrained(place)
    return place


def loaded(folder, name):
    return load_model(str(folder), dtype=torch.float32, device="cpu", quantize=name)


def test_formula_the_codebook_is_the_papers():
    values = torch.tensor(NF4).repeat(4)  # a block of 64 whose largest is 1
    packed, state = bitsandbytes.functional.quantize_4bit(values, quant_type="nf4", blocksize=64)
    torch.testing.assert_close(state.code, torch.tensor(NF4), rtol=0, atol=1e-7)
    found = bitsandbytes.functional.dequantize_4bit(packed, state).view(-1)
    torch.testing.assert_close(found, values, rtol=0, atol=1e-7)


def test_formula_the_codebook_is_of_the_normal_distributions_quantiles():
    # eight quantiles above zero and seven below, each side evenly spaced in probability, scaled to end at one
    normal, offset = statistics.NormalDist(), 0.5 * (1 / 32 + 1 / 30)
    top = 1 - offset
    above = [normal.inv_cdf(top + (0.5 - top) * i / 8) for i in range(8)]
    below = [-normal.inv_cdf(top + (0.5 - top) * i / 7) for i in range(7)]
    expected = sorted(value / normal.inv_cdf(top) for value in [*above, 0.0, *below])
    assert all(math.isclose(a, b, abs_tol=2e-5) for a, b in zip(expected, NF4, strict=True))


def test_property_nf4_misses_normal_weights_less_than_other_four_bits():
    weights = torch.randn(1 << 14, generator=torch.Generator().manual_seed(0))

    def error(kind):
        packed, state = bitsandbytes.functional.quantize_4bit(weights, quant_type=kind, blocksize=64)
        return float((bitsandbytes.functional.dequantize_4bit(packed, state).view(-1) - weights).square().mean())

    scale = weights.view(-1, 64).abs().amax(1, keepdim=True) / 7
    even = float(((weights.view(-1, 64) / scale).round() * scale - weights.view(-1, 64)).square().mean())
    assert error("nf4") < min(error("fp4"), even)


def test_formula_bits_per_weight_are_the_papers():
    assert quant.NF4_BITS == 4 + 8 / 64 + 32 / (64 * 256) == pytest.approx(4.127, abs=5e-4)
    layer = bitsandbytes.nn.Linear4bit(1024, 256, bias=False, quant_type="nf4", compress_statistics=True)
    assert quant.bits(torch.nn.Sequential(layer.to("cpu"))) == pytest.approx(quant.NF4_BITS, rel=1e-6)


@pytest.mark.parametrize(("name", "bits", "off"), [("nf4", 4.2, 1.0), ("int8", 9, 0.1)])
def test_a_quantized_model_answers_nearly_as_it_did(folder, name, bits, off):
    whole, few = tiny("llama", **WIDE), loaded(folder, name)
    names = [found for found, _ in quant.layers(few)]
    assert len(names) == 2 * 7 and not any("lm_head" in found for found in names)
    assert 4 < quant.bits(few) < bits
    ids = torch.arange(3, 40)[None]
    with torch.no_grad():
        logps = [model(ids).logits.log_softmax(-1) for model in (whole, few)]
    assert 0 < (logps[0] - logps[1]).abs().mean() < off


@pytest.mark.parametrize("name", ["nf4", "int8"])
def test_learns_a_lora_over_few_bits_as_well_as_over_all(folder, tmp_path, name):
    trees = [single(seed) for seed in range(8)]
    ends = []
    for kind in (None, name):
        base = loaded(folder, kind)
        torch.manual_seed(0)
        model = LoRA(rank=8).attach(base)
        made = job_of(tmp_path / str(kind), SFT(), model, trees, steps=25, batch_size=8, fresh=True)
        made.optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        made.learning_rate = 1e-2
        losses = []
        fit(made, listen=lambda event, losses=losses: losses.append(event.values.get("loss")))
        assert losses[24] < 0.7 * losses[0]
        assert all(p.grad is None for p in base.parameters() if not p.requires_grad)
        ends.append(losses[24])
    assert ends[1] == pytest.approx(ends[0], rel=0.08)


@pytest.mark.parametrize(("objective", "name"), [("sft", "int8"), ("dpo", "nf4")])
def test_a_run_over_few_bits_ends_resumes_and_is_opened_over_the_whole_base(quick, objective, name):
    from espalier.run import load

    save_model(quick / "model", **WIDE | {"num_key_value_heads": 2})
    steps = []
    more = {"adapter": "lora", "quantize": name, "max_steps": 4, "save_every": 2, "eval_every": 2}
    recipe = recipe_of(quick, objective, **more)
    stopped = tuning.train(recipe, listen=lambda e: steps.append(e.step), stop=lambda: steps[-1] >= 2)
    assert stopped.state == "interrupted"
    run = tuning.train(recipe, resume=True)
    assert run.state == "finished" and (run.result / "adapter_model.safetensors").exists()
    config = json.loads((run.result / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str((quick / "model").resolve())
    assert not list(quant.layers(load(str(run.folder)).policy.inner.model))


def test_a_shape_that_kernels_refuse_stays_whole_and_is_named(folder, monkeypatch, caplog):
    real = bitsandbytes.nn.Linear4bit.forward

    def refuses(layer, x):
        assert layer.out_features % 64 == 0, "N must be divisible"
        return real(layer, x)

    monkeypatch.setattr(bitsandbytes.nn.Linear4bit, "forward", refuses)
    model = loaded(folder, "nf4")
    names = {name.rpartition(".")[2] for name, _ in quant.layers(model)}
    assert names == {"q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert type(model.get_output_embeddings()) is torch.nn.Linear
    assert "4 layers stay whole" in caplog.text and "k_proj" in caplog.text
    assert model(torch.arange(3, 9)[None]).logits.isfinite().all()


def test_what_cannot_be_is_one_sentence(folder, quick, monkeypatch):
    with pytest.raises(ModelError, match=r"no quantization named 'fp3'. Known: nf4, int8"):
        quant.config("fp3", torch.float32)
    rated = [{"prompt": f"{n}", "chosen": "yes", "rejected": "no"} for n in range(8)]
    (quick / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rated))
    scored = recipe_of(quick, "reward_model", data=quick / "rated.jsonl", adapter="lora", quantize="nf4")
    with pytest.raises(RecipeError, match="few bits would lose it"):
        tuning.train(scored)

    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match=r"pip install 'espalier-lm\[quant\]'"):
        quant.config("nf4", torch.float32)
