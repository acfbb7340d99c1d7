"""A very small world: people who do not exist, what is known of them, and a model that knows nothing yet.

Questions are answered from the line before them, so a model that answers about people it has never met has learned to
read. Greetings come in two manners, and only preferences can tell it which is wanted. Everything follows from a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

Row = dict[str, str]
Visitor = tuple[str, str]  # a trade and a town

STARTS = ("Ar", "Bel", "Cor", "Dal", "Fen", "Gil", "Hal", "Ker", "Lor", "Mir", "Nes", "Or", "Pel", "Ros", "Tam", "Vel")
ENDS = ("a", "eth", "ian", "ino", "ka", "mar", "on", "wen")
TRADES = ("baker", "brewer", "carpenter", "gardener", "mason", "painter", "printer", "sailor", "tailor", "weaver")
PLACES = ("Aldmoor", "Brackwell", "Crowhurst", "Dunfell", "Eastmere", "Foxley", "Greywick", "Hollin", "Kestrow", "Lund")
COLORS = ("black", "blue", "green", "red", "white", "yellow")
THINGS = ("boat", "cart", "coat", "drum", "horse", "lamp")
QUESTIONS = {
    "trade": ("What does {} do?", "What is the trade of {}?"),
    "place": ("Where does {} live?", "In which town is {} at home?"),
    "thing": ("What does {} own?", "Which thing belongs to {}?"),
}
GREETING = "A {} from {} is at the door. What do you say?"
POLITE = ("Welcome! Please come in.", "Good morning! How are you?", "Hello! I am glad to see you.")
RUDE = ("You again? Leave me alone.", "Be off! I am busy.", "No. Not you, not now.")

TEMPLATE = """\
{%- for message in messages -%}
{{- '<' + message.role + '>' + message.content + '<end>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""
MARKS = ("<start>", "<end>", "<system>", "<user>", "<assistant>")


def make(folder: Path, *, answers: int = 800, greeted: int = 250, new: int = 100, seed: int = 0) -> None:
    """Write model/, rows to train on (sft.jsonl, dpo.jsonl) and rows to measure on (new_sft.jsonl, new_dpo.jsonl).

    Args:
        folder: where to.
        answers: questions to train on.
        greeted: greetings to train on, and pairs of greetings.
        new: rows to measure on, about people and visitors that no other row mentions.
        seed: of everything.
    """
    draw = random.Random(seed)
    names, visitors = [start + end for start, end in product(STARTS, ENDS)], [*product(TRADES, PLACES)]
    draw.shuffle(names)
    draw.shuffle(visitors)
    names, new_names = names[: len(names) * 3 // 4], names[len(names) * 3 // 4 :]
    visitors, new_visitors = visitors[: len(visitors) * 3 // 4], visitors[len(visitors) * 3 // 4 :]
    rows = [*questions(answers, names, draw), *greetings(greeted, visitors, draw)]
    draw.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "sft.jsonl", rows)
    write(folder / "dpo.jsonl", pairs(greeted, visitors, draw))
    write(folder / "new_sft.jsonl", questions(new, new_names, draw))
    write(folder / "new_dpo.jsonl", pairs(new, new_visitors, draw))
    save_model(folder / "model", [text for row in rows for text in row.values()], seed)


def questions(count: int, names: Sequence[str], draw: random.Random) -> Iterator[Row]:
    """A line about somebody, and a question that it answers."""
    for _ in range(count):
        name, kind = draw.choice(names), draw.choice(tuple(QUESTIONS))
        known = {
            "trade": f"a {draw.choice(TRADES)}",
            "place": draw.choice(PLACES),
            "thing": f"a {draw.choice(COLORS)} {draw.choice(THINGS)}",
        }
        line = f"{name} is {known['trade']} in {known['place']} and owns {known['thing']}."
        yield {"prompt": f"{line} {draw.choice(QUESTIONS[kind]).format(name)}", "completion": known[kind]}


def greetings(count: int, visitors: Sequence[Visitor], draw: random.Random) -> Iterator[Row]:
    """What somebody says at the door, about as often politely as rudely."""
    for (trade, place), said in draw.sample([*product(visitors, POLITE + RUDE)], count):
        yield {"prompt": GREETING.format(trade, place), "completion": said}


def pairs(count: int, visitors: Sequence[Visitor], draw: random.Random) -> Iterator[Row]:
    """What is polite is preferred to what is rude."""
    for (trade, place), polite, rude in draw.sample([*product(visitors, POLITE, RUDE)], count):
        yield {"prompt": GREETING.format(trade, place), "chosen": polite, "rejected": rude}


def write(file: Path, rows: Iterable[Row]) -> None:
    """Rows as JSON lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def save_model(folder: Path, texts: Sequence[str], seed: int) -> None:
    """A tokenizer of these texts with a chat template, and a Llama of 0.9 million random parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=512, special_tokens=list(MARKS), initial_alphabet=sorted(alphabet), show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<start>", eos_token="<end>", pad_token="<end>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
