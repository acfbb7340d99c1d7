"""What an export starts from, made without training: adapters with weights of their own, chat tokenizers."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from espalier.catalogue import build
from espalier.handover import handover
from espalier.render import Renderer
from tests.models.tiny import tiny
from tests.models_on_disk import SMALL
from tests.templates import CHATML

MARKERS = ("<|im_start|>", "<|im_end|>")


def byte_level(
    template: str = CHATML, *, cut: Any = None, markers: Any = MARKERS, bos: bool = False, merges: Any = (("h", "e"),)
) -> PreTrainedTokenizerFast:
    """Byte-level BPE cut into words as GPT-2 does, or as told; with `bos` a template has to write <s> itself."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *dict.fromkeys(left + right for left, right in merges)]
    core = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, list(merges)))
    core.pre_tokenizer = cut or pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<s>", "</s>", *markers])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>" if bos else None,
        eos_token="</s>",
        pad_token="</s>",
        chat_template=template,
    )


def save_model(folder: Path, kind: str = "llama", tokenizer: Any = None, *, std: float = 0.08, **changes: Any) -> Path:
    """A random model of any kind with a chat tokenizer; its weights are small enough to be rounded."""
    tokenizer = tokenizer or byte_level()
    known = SMALL | {"max_position_embeddings": 512, "vocab_size": len(tokenizer) + 3}
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    model = tiny(kind, std=std, **known | special | changes)
    model.generation_config.update(**special)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_adapter(folder: Path, base: Path, *, seed: int = 0, size: float = 0.2, **options: Any) -> Path:
    """A LoRA over a model folder whose update is not zero."""
    from transformers import AutoModelForCausalLM

    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(
                    torch.randn(parameter.shape, generator=generator) * (size if "lora" in name else size / 4)
                )
    model.save_pretrained(folder, save_embedding_layers=False)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return folder


def save_method(folder: Path, base: Path, kind: str) -> Path:
    """An adapter of ours over a model folder, handed over as a run does, with weights as if it had been trained."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = build({"method": f"adapters/{kind}"}).attach(AutoModelForCausalLM.from_pretrained(base))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.05)
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    handover(model, trained, Renderer(AutoTokenizer.from_pretrained(base)), folder, base=str(base))
    return folder
