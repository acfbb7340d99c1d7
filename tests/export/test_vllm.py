"""What vLLM can load, and how it is asked to."""

import pytest

from espalier.errors import ModelError
from espalier.export.export import Request, export
from espalier.export.vllm import refused
from tests.export.runs import save_adapter, save_model

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")
PLAIN = {"peft_type": "LORA", "r": 16, "bias": "none"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"r": 512, "use_rslora": True}, ""),
        ({"r": 513}, "its rank is 513, and the most is 512"),
        ({"use_dora": True}, "it is a DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save = lm_head"),
        ({"peft_type": "VERA"}, "of the kind VERA"),
        ({"bias": "all"}, "it trains biases"),
        ({"alpha_pattern": {"q": 3}}, "different ranks or scales"),
    ],
)
def test_what_it_refuses(changes, said):
    found = refused(PLAIN | changes)
    assert said in found and bool(found) == bool(said)


def test_the_command_names_what_was_written(tmp_path):
    base = save_model(tmp_path / "base")
    out = tmp_path / "out"
    made = export(Request(str(save_adapter(tmp_path / "mine", base, r=9)), "vllm", out))
    assert made.use == [
        f"vllm serve {base} --tokenizer {out} --chat-template {out}/chat_template.jinja --generation-config {out} "
        f"--enable-lora --max-lora-rank 16 --lora-modules mine={out} --max-model-len 512"
    ]
    assert all(
        (out / name).exists() for name in ("chat_template.jinja", "generation_config.json", "adapter_config.json")
    )
    with pytest.raises(ModelError, match=r"vLLM cannot load this adapter: it is a DoRA. Merge it .*--to hf"):
        export(Request(str(save_adapter(tmp_path / "dora", base, use_dora=True)), "vllm", tmp_path / "other"))
    whole = export(Request(str(base), "vllm", tmp_path / "whole"))
    assert whole.use == [f"vllm serve {tmp_path}/whole --served-model-name base --max-model-len 512"]
