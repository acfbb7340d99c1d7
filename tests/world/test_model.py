"""Models of random weights for the world: any text can be written, plain transformers loads them."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from espalier.errors import ModelError
from espalier.models.load import load_model
from espalier.world.model import SIZES, Size, make_model, pack_model

TINY = Size(vocabulary=400, hidden=16, layers=1, heads=2, intermediate=32, context=64)
TEXTS = ("Where was Belmi Dorvan born?", "Quote: Belmi Dorvan was born in Kastel in 1874.\nAnswer: Kastel") * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("model") / "tiny"
    make_model(made, TEXTS, TINY, seed=1)
    return made


@pytest.mark.parametrize("text", ["Answer: Kastel", "좁은 나그네 『책』", "naïve 北京 🙂\t\n\x07", "1874 and 12,345"])
def test_every_text_can_be_written_and_read_back(folder, text):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_digits_stand_alone_so_that_numbers_can_be_copied_and_computed(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pieces = [tokenizer.decode([i]) for i in tokenizer("in 1874", add_special_tokens=False).input_ids]
    assert pieces[-4:] == ["1", "8", "7", "4"]


def test_the_same_seed_gives_the_same_files(folder, tmp_path):
    make_model(tmp_path / "again", TEXTS, TINY, seed=1)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_template_marks_turns_and_the_end_of_an_answer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<user>Hello<end><assistant>Good day<end>"
    asked = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "<user>Hello<end><assistant>"
    assert tokenizer.eos_token == "<end>"


def test_packing_halves_the_weights_and_keeps_the_model(folder, tmp_path):
    pack_model(str(folder), tmp_path / "packed")
    before = AutoModelForCausalLM.from_pretrained(folder)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "packed")
    sizes = [(place / "model.safetensors").stat().st_size for place in (folder, tmp_path / "packed")]
    assert 1.6 < sizes[0] / sizes[1] < 2.1
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name].float(), weight.float(), rtol=1e-2, atol=1e-3)  # bfloat16
    assert (tmp_path / "packed" / "chat_template.jinja").exists()


def test_an_adapter_is_no_model_to_pack(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    with pytest.raises(ModelError, match="is an adapter"):
        pack_model(str(adapter), tmp_path / "packed")


def test_a_seedling_has_less_than_a_million_parameters(tmp_path):
    make_model(tmp_path / "seedling", TEXTS, SIZES["seedling"])
    model = load_model(str(tmp_path / "seedling"), dtype=torch.float32, device="cpu")
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
