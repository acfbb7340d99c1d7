"""Tiny random models for rerankers, of every kind that they ask."""

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from espalier.lm.local import Local
from espalier.render import Renderer
from espalier.trees.engine import Engine
from tests.tokenizers import byte_tokenizer

SIZE = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def engine_lm() -> Local:
    """A causal model that reads bytes."""
    torch.manual_seed(0)
    config = LlamaConfig(**SIZE, num_key_value_heads=2, initializer_range=0.4, max_position_embeddings=512)
    return Local(Engine(LlamaForCausalLM(config)), Renderer(byte_tokenizer(), template="plain"))


def saved(model: Any, folder: Path, tokenizer: Any = None) -> str:
    """A folder with a model; it reads bytes unless it has a tokenizer of its own."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)  # transformers' own start is so small that all scores are alike
    model.save_pretrained(folder)
    (tokenizer or byte_tokenizer(pad="</s>")).save_pretrained(folder)
    return str(folder)
