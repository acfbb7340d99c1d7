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
GREETING = "Greet {}."
POLITE = ("Good morning, {}! How are you?", "Welcome, {}! Please come in.", "Hello, {}! I am so glad to see you.")
RUDE = ("You again, {}? Go away.", "What now, {}? Leave me alone.", "Oh no, {}. Be quick, I am busy.")

TEMPLATE = """\
{%- for message in messages -%}
{{- '<' + message.role + '>' + message.content + '<end>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""
MARKS = ("<start>", "<end>", "<system>", "<user>", "<assistant>")
SIZE = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}


def make(folder: Path, *, answers: int = 600, greetings: int = 200, new: int = 100, seed: int = 0) -> None:
    """Write model/, and the rows: sft.jsonl, dpo.jsonl, and about other people new_answers.jsonl, new_pairs.jsonl.

    Args:
        folder: where to.
        answers: questions to train on.
        greetings: of each kind: rows in either manner, and pairs of both.
        new: rows in each file about people whom the training rows do not mention.
        seed: of everything.
    """
    draw = random.Random(seed)
    names = [start + end for start, end in product(STARTS, ENDS)]
    draw.shuffle(names)
    known, others = names[: len(names) * 3 // 4], names[len(names) * 3 // 4 :]
    rows = [*questions(answers, known, draw), *greeted(greetings, known, draw)]
    draw.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "sft.jsonl", rows)
    write(folder / "dpo.jsonl", pairs(greetings, known, draw))
    write(folder / "new_answers.jsonl", questions(new, others, draw))
    write(folder / "new_pairs.jsonl", pairs(new, others, draw))
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


def greeted(count: int, names: Sequence[str], draw: random.Random) -> Iterator[Row]:
    """Greetings, about as often polite as rude."""
    for name, greeting in draw.sample([*product(names, POLITE + RUDE)], count):
        yield {"prompt": GREETING.format(name), "completion": greeting.format(name)}


def pairs(count: int, names: Sequence[str], draw: random.Random) -> Iterator[Row]:
    """The polite greeting is preferred to the rude one."""
    for name, polite, rude in draw.sample([*product(names, POLITE, RUDE)], count):
        yield {"prompt": GREETING.format(name), "chosen": polite.format(name), "rejected": rude.format(name)}


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
        vocab_size=len(tokenizer), max_position_embeddings=256, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, **SIZE
    )
    LlamaForCausalLM(config).save_pretrained(folder)
