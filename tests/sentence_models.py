"""Tiny sentence encoders on disk, as sentence-transformers and model2vec save them, and an embedder without a model."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from espalier.embedding import TextEmbedder, unit

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "runs", "fast", "tea", "coffee", "of", "green", "black", "and"]
WORDS += ["query", "passage", "find", "this", ":"]
VOCABULARY = {word: number for number, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
MODULES = "sentence_transformers.models."


def tokenizer() -> Tokenizer:
    """Words, lowercase, with [CLS] before and [SEP] behind."""
    made = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return made


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


def save_body(folder: Path, kind: str = "bert", **changes: Any) -> Path:
    """A random transformer of one narrow layer with its tokenizer, and nothing of how it is pooled."""
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    more = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 24, "pad_token_id": 0, "initializer_range": 0.5}
    model = AutoModel.from_config(AutoConfig.for_model(kind, **small | more | changes))
    model.save_pretrained(folder)
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer(), **names).save_pretrained(folder)
    return folder


def save_sentence_model(
    folder: Path,
    pooling: Mapping[str, Any],
    *,
    dense: bool = False,
    prompts: Mapping[str, str] | None = None,
    longest: int = 20,
) -> Path:
    """The same with its pooling, and perhaps a dense layer and prefixes."""
    save_body(folder)
    kinds = ["Transformer", "Pooling", *(["Dense"] if dense else []), "Normalize"]
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds[1:], 1))]
    modules = [{"idx": n, "name": str(n), "path": paths[n], "type": MODULES + kind} for n, kind in enumerate(kinds)]
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 16, **pooling})
    write(folder / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    if prompts is not None:
        write(folder / "config_sentence_transformers.json", {"prompts": dict(prompts), "default_prompt_name": None})
    if dense:
        width = 16 * sum(value is True for key, value in pooling.items() if key.startswith("pooling_mode"))
        options = {"in_features": width, "out_features": 8, "bias": True}
        write(folder / "2_Dense" / "config.json", options | {"activation_function": "torch.nn.modules.activation.Tanh"})
        chance = np.random.default_rng(1)
        weights = {"linear.weight": chance.standard_normal((8, width)), "linear.bias": chance.standard_normal(8)}
        tensors = {name: value.astype(np.float32) for name, value in weights.items()}
        save_file(tensors, folder / "2_Dense" / "model.safetensors", {"format": "pt"})
    return folder


def save_static(folder: Path, **more: Any) -> Path:
    """A static model: a vector for each word."""
    write(folder / "config.json", {"model_type": "model2vec", "normalize": True})
    tokenizer().save(str(folder / "tokenizer.json"))
    vectors = np.random.default_rng(2).standard_normal((len(VOCABULARY), 8)).astype(np.float32)
    save_file({"embeddings": vectors, **more}, folder / "model.safetensors")
    return folder


class Words(TextEmbedder):
    """A vector for each word, drawn by its letters; a text's is their sum. It writes down what it was asked."""

    def __init__(self, name: str = "words", dimension: int = 32, stop_after: int | None = None) -> None:
        self.name, self.dimension, self.stop_after = name, dimension, stop_after
        self.asked: list[str] = []

    @property
    def about(self) -> str:
        return f"{self.name} embeds texts as they are"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Any:
        self.asked += texts
        if self.stop_after is not None and len(self.asked) > self.stop_after:
            raise KeyboardInterrupt
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(".", " ").split():
                found[row] += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(self.dimension)
            if "nan" in text:
                found[row] = np.nan
        return unit(found)
