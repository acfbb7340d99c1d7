"""A model of random weights for the world: tokenizer, chat template and a Llama of the size asked for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.errors import ModelError
from espalier.world import korean
from espalier.world.curriculum import LESSONS, lesson
from espalier.world.facts import World
from espalier.world.wordings import expansions, words

TEMPLATE = """\
{%- for message in messages -%}
{{- '<' + message.role + '>' + message.content + '<end>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""
MARKS = ("<start>", "<end>", "<system>", "<user>", "<assistant>")


@dataclass(frozen=True)
class Size:
    """The shape of a model."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    context: int = 1024


SIZES = {
    "sprout": Size(vocabulary=2560, hidden=256, layers=6, heads=8, intermediate=640),
    "seedling": Size(vocabulary=1024, hidden=128, layers=4, heads=4, intermediate=320, context=512),
}


def corpus(seed: int = 0) -> Iterator[str]:
    """What the tokenizer learns its pieces from: conversations of every lesson, lists of words, names in Hangul."""
    draw = random.Random(f"corpus {seed}")
    world = World.make(12_000, seed=seed)
    for name in LESSONS:
        for row in lesson(name, world, 3000, seed):
            yield from (message["content"] for message in row["messages"])
    lists = [word for values in words().values() for value in values for word in expansions(value)]
    yield from (" ".join(draw.sample(lists, 12)) for _ in range(1500))
    yield from (" ".join(korean.name(entity) for entity in draw.sample(world.entities, 6)) for _ in range(600))


def make_model(folder: Path, texts: Iterable[str], size: Size, *, seed: int = 0) -> None:
    """Write a model folder: a byte-level BPE tokenizer of these texts, the chat template, random weights.

    Args:
        folder: where to.
        texts: what the tokenizer learns its pieces from; every byte can be written whatever they hold.
        size: the shape of the model.
        seed: of the weights.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from espalier.models.load import quietly

    bpe = Tokenizer(models.BPE())
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size.vocabulary,
        special_tokens=list(MARKS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer=trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<end>",
        chat_template=TEMPLATE,
        model_max_length=size.context,
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    with quietly():
        tokenizer.save_pretrained(folder)
        LlamaForCausalLM(config).save_pretrained(folder)


def pack_model(target: str, folder: Path) -> None:
    """Write a model and its tokenizer with weights in bfloat16.

    Args:
        target: a run that trained all weights, or a model folder.
        folder: where to.

    Raises:
        ModelError: it is an adapter; its base would be lost.
    """
    import torch

    from espalier.models.load import load_model, load_tokenizer, quietly
    from espalier.run import locate

    place = locate(target)
    if place.adapter is not None:
        raise ModelError(f"{target} is an adapter; a model of its own comes from a run that trains all weights.")
    model: Any = load_model(place.model, dtype=torch.bfloat16, device="cpu")
    with quietly():
        model.save_pretrained(folder)
        load_tokenizer(place.model).save_pretrained(folder)
