"""A tiny random model, its renderer, and rows to measure it on."""

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from espalier.contracts import Row
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.trees.engine import Engine
from tests.tokenizers import byte_tokenizer

RENDERER = Renderer(byte_tokenizer(), template="plain")
SAID = [Row(prompt=f"{i} and {i}?", completion=f" {2 * i}, 좋아") for i in range(12)]
PAIRS = [Row(prompt=f"Say {w}.", chosen=f" {w}!", rejected=" No, " + w * 2) for w in "abcdefghijkl"]


def tiny_role(seed: int = 0, layout: Any = "trees") -> Role:
    """A Llama of two layers and 96 tokens of context."""
    torch.manual_seed(seed)
    size = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = LlamaConfig(**size, num_attention_heads=4, initializer_range=0.2, max_position_embeddings=96)
    return Role(Engine(LlamaForCausalLM(config), layout=layout))


def logp(model: Role, prompt: str, completion: str) -> float:
    """By hand: the model's own forward over one row, end token included."""
    start = len(RENDERER.prompt(prompt))
    ids = RENDERER.completion(prompt, completion).ids.tolist()
    with torch.no_grad():
        logps = torch.log_softmax(model.inner.model(torch.tensor([ids])).logits[0].double(), -1)
    return sum(float(logps[at - 1, ids[at]]) for at in range(start, len(ids)))
