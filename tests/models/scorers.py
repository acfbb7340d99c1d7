"""Classification models of one label on disk, tiny and random: a decoder and an encoder."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from tests.tokenizers import chat_tokenizer

SIZE = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 128,
}  # fmt: skip


def save_decoder(folder: Path, *, seed: int = 0, pad: str | None = "<|im_start|>", **changes: Any) -> Path:
    """A Llama; `changes` are fields of its config."""
    torch.manual_seed(seed)
    tokenizer = chat_tokenizer(bos=True, pad=pad)
    config = SIZE | {"vocab_size": len(tokenizer), "num_labels": 1, "pad_token_id": tokenizer.pad_token_id}
    config |= {"initializer_range": 0.3} | changes
    LlamaForSequenceClassification(LlamaConfig(**config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_encoder(folder: Path, *, seed: int = 0) -> Path:
    """A BERT whose words are single letters."""
    torch.manual_seed(seed)
    letters = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefghijklmnopqrstuvwxyz?.!"]
    core = Tokenizer(models.WordLevel({letter: n for n, letter in enumerate(letters)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names
    )
    config = BertConfig(**SIZE, vocab_size=len(letters), num_labels=1, pad_token_id=0, initializer_range=0.5)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
