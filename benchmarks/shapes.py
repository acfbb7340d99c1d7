"""Random-weight models in the shapes of real ones, and a tokenizer whose token count is exact: one word, one token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

LAST_SPECIAL = 2  # <s> 0, </s> 1, <pad> 2; every other id i is the word "w<i>"
BEGIN, END = 0, 1

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 1024},
    "30m": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 10, "num_attention_heads": 6,
            "num_key_value_heads": 6, "vocab_size": 32768},
    "135m": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
             "num_key_value_heads": 3, "vocab_size": 49152},  # SmolLM2-135M
    "qwen3-0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
    "qwen3-4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
    "qwen3-8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": False},
}  # fmt: skip


def saved(shape: str, root: Path, dtype: torch.dtype = torch.float32, *, scalar: bool = False) -> Path:
    """A folder with random weights and the tokenizer, made once; both sides load it as a user loads a checkpoint.

    Args:
        shape: one of SHAPES.
        root: where the folder goes.
        dtype: of the weights.
        scalar: with a head that gives one number, in place of one over tokens.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

    folder = root / f"{shape}-{'scalar-' if scalar else ''}{str(dtype).removeprefix('torch.')}"
    if (folder / "config.json").exists():
        return folder
    kind = Qwen3Config if shape.startswith("qwen3") else LlamaConfig
    fields = {"tie_word_embeddings": True, "max_position_embeddings": 8192} | SHAPES[shape]
    config = kind(**fields, bos_token_id=BEGIN, eos_token_id=END, pad_token_id=LAST_SPECIAL)
    torch.manual_seed(0)
    tokenizer(config.vocab_size).save_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if scalar:
        from espalier.models.heads import with_scalar_head

        model = with_scalar_head(model, seed=1)
    model.save_pretrained(folder)
    return folder


def tokenizer(vocabulary: int) -> Any:
    """Words "w3", "w4", ... separated by blanks."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "</s>": END, "<pad>": LAST_SPECIAL}
    words |= {f"w{i}": i for i in range(LAST_SPECIAL + 1, vocabulary)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def ids(text: str) -> list[int]:
    """The token ids of words, without the tokenizer."""
    return [int(word[1:]) for word in text.split()]
