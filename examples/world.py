"""A very small world for the quickstart: people who do not exist, what is known of them, and a model that knows nothing.

Everything follows from one seed: the rows, the tokenizer, the model's random weights.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

Row = dict[str, str]

STARTS = ("Ar", "Bel", "Cor", "Dal", "Fen", "Gil", "Hal", "Ker", "Lor", "Mir", "Nes", "Or", "Pel", "Ros", "Tam", "Vel")
ENDS = ("a", "eth", "ian", "ino", "ka", "mar", "on", "wen")
NAMES = tuple(start + end for start, end in product(STARTS, ENDS))
TRADES = ("baker", "weaver", "painter", "sailor", "mason", "tailor", "brewer", "gardener", "printer", "carpenter")
PLACES = ("Aldmoor", "Brackwell", "Crowhurst", "Dunfell", "Eastmere", "Foxley", "Greywick", "Hollin", "Ivenholt", "Kestrow")
COLORS = ("red", "green", "blue", "white", "black", "yellow")
THINGS = ("boat", "horse", "cart", "lamp", "drum", "coat")
QUESTIONS = {
    "trade": ("What does {name} do?", "What is the trade of {name}?"),
    "place": ("Where does {name} live?", "In which town is {name} at home?"),
    "thing": ("What does {name} own?", "Which thing belongs to {name}?"),
}
KIND = ("Good morning, {name}! How are you?", "Welcome, {name}! Please come in.", "Hello, {name}! So good to see you.")
RUDE = ("You again, {name}? Go away.", "What now, {name}? Leave me alone.", "Oh no, {name}. Be quick.")

TEMPLATE = """\
{%- for message in messages -%}
{{- '<' + message.role + '>' + message.content + '<end>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<assistant>' -}}{%- endif -%}
"""
MARKS = ("<start>", "<end>", "<system>", "<user>", "<assistant>")


def questions(count: int, names: Sequence[str], seed: str) -> Iterator[Row]:
    """Questions about one of two people, answered from the lines about both."""
    draw = random.Random(seed)
    for _ in range(count):
        pair = draw.sample(names, 2)
        facts = [
            {"trade": f"a {draw.choice(TRADES)}", "place": draw.choice(PLACES), "thing": f"a {draw.choice(COLORS)} {draw.choice(THINGS)}"}
            for _ in pair
        ]
        lines = [f"{name} is {f['trade']} in {f['place']} and owns {f['thing']}." for name, f in zip(pair, facts, strict=True)]
        who, what = draw.randrange(2), draw.choice(tuple(QUESTIONS))
        question = draw.choice(QUESTIONS[what]).format(name=pair[who])
        yield {"prompt": f"{' '.join(lines)} {question}", "completion": facts[who][what]}
