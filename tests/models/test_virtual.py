"""Virtual tokens before every root: as PEFT's own forward has them, one unshared row at a time."""

import copy

import numpy as np
import pytest
import torch
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from torch.testing import assert_close

from espalier.errors import ModelError
from espalier.lm.generate import Batch, Sampling
from espalier.models.virtual import virtual_of
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.probe import choose_layout
from tests.models.tiny import tiny
from tests.train.toys import single
from tests.trees.exact import garden

KINDS = {
    "prompt": PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
    "p_tuning": PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=8, task_type="CAUSAL_LM"),
    "prefix": PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
}
# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing(_enable)?. is deprecated:FutureWarning")


def with_tokens(kind, name="llama", **changes):
    torch.manual_seed(0)
    return get_peft_model(tiny(name, **changes), copy.deepcopy(KINDS[kind])).eval()


def own(model, forest):
    """PEFT's forward, one completion at a time. [tokens]"""
    found = []
    for path in forest.paths:
        ids, counted = torch.from_numpy(path.ids).long(), torch.from_numpy(path.counted)
        rows = model(input_ids=ids[None], attention_mask=torch.ones(1, len(ids))).logits[0, -len(ids) :]
        found.append(rows.log_softmax(-1)[counted - 1, ids[counted]])
    return torch.cat(found)


def gradient(model, logps):
    trained = [p for p in model.parameters() if p.requires_grad]
    weights = torch.randn(len(logps), generator=torch.Generator().manual_seed(0))
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad((logps * weights).sum(), trained)])


@pytest.mark.parametrize("layout", ["trees", "rows"])
@pytest.mark.parametrize("name", ["llama", "qwen3", "mistral", "gemma2", "gpt2"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_peft_alone_with_its_gradient(kind, name, layout):
    model = with_tokens(kind, name)
    forest = Forest.plant(garden(), min_shared=1)
    expected, found = own(model, forest), Engine(model, layout=layout)(forest)["logps"]
    assert_close(found, expected, rtol=0, atol=1e-5)
    grads = gradient(model, expected), gradient(model, found)
    assert float((grads[0] - grads[1]).abs().max() / grads[0].abs().max()) < 1e-4
    assert float(grads[0].abs().max()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_equals_it_with_activations_checkpointed(kind):
    forest, model = Forest.plant(garden(), min_shared=1), with_tokens(kind)
    expected = gradient(model, Engine(model)(forest)["logps"])
    model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    assert_close(gradient(model, Engine(model)(forest)["logps"]), expected, rtol=1e-4, atol=1e-5)  # float32
    if kind == "prefix":
        with pytest.raises(ModelError, match="cannot be trained with activation_checkpointing on this model"):
            Engine(model, layout="rows")(forest)


@pytest.mark.parametrize("kind", KINDS)
def test_the_probe_asks_the_model_with_its_tokens(kind):
    assert choose_layout(with_tokens(kind)).layout == "trees"


@pytest.mark.parametrize("layout", ["trees", "rows"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_peft_alone_when_it_writes(kind, layout):
    model = with_tokens(kind)
    prompts = [np.array([5, 9, 11], np.int32), np.array([5, 9, 11, 8, 20], np.int32)]
    for chosen in [prompts] if layout == "trees" else [[prompt] for prompt in prompts]:
        with torch.no_grad():
            batch = Batch(Engine(model, layout=layout), chosen)
            written = [list(prompt) for prompt in chosen]
            for _ in range(4):
                expected = [model(torch.tensor([row])).logits[0, -1] for row in written]
                assert_close(batch.logits, torch.stack(expected), rtol=1e-4, atol=1e-4)  # float32
                picked = batch.pick(torch.zeros(len(chosen)), Sampling(0.0, 1.0, 4, 0))
                for row, token, _ in picked:
                    written[row].append(token)
                batch.extend(range(len(chosen)))


@pytest.mark.parametrize("kind", KINDS)
def test_switched_off_there_are_none(kind):
    model, forest = with_tokens(kind), Forest.plant([single(0)])
    with torch.no_grad(), model.disable_adapter():
        assert virtual_of(model) is None
        assert_close(Engine(model)(forest)["logps"], Engine(tiny("llama"))(forest)["logps"], rtol=0, atol=0)
    assert virtual_of(model).length == KINDS[kind].num_virtual_tokens


def test_a_row_that_they_push_out_of_the_context_is_refused():
    model = with_tokens("prompt", max_position_embeddings=8)
    with pytest.raises(ModelError, match=r"puts 5 before it: more than the model's context of 8. Set max_tokens = 3"):
        Engine(model)(Forest.plant([single(0)]))
