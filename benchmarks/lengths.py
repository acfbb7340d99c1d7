"""Rows to train on: random words in lengths that are drawn or taken from real data, in TRL's fields."""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import LAST_SPECIAL

Lengths = tuple[int, ...]  # tokens of the prompt, of the chosen answer, and of one or more rejected ones
LONGEST = 1000  # prompt and answer; TRL cuts at 1,024


def synthetic(count: int, answers: int = 2, seed: int = 0) -> list[Lengths]:
    """Log-normal lengths: prompts around 135 tokens (50 to 400), answers around 85 (20 to 300), alike for a prompt."""
    chance = np.random.default_rng(seed)
    prompts = np.exp(chance.normal(np.log(135), 0.6, count)).clip(50, 400)
    mean = chance.normal(np.log(85), 0.6, (count, 1))
    drawn = np.exp(mean + chance.normal(0, 0.4, (count, answers))).clip(20, 300)
    return [(round(p), *map(round, row)) for p, row in zip(prompts, drawn.tolist(), strict=True)]


def shared(count: int, answers: int, share: float, seed: int = 0) -> list[Lengths]:
    """Prompts that are this share of a row of about 320 tokens (256 to 384); answers within 10 % of the rest."""
    chance = np.random.default_rng(seed)
    rows = chance.uniform(256, 384, count)
    drawn = (1 - share) * rows[:, None] * chance.uniform(0.9, 1.1, (count, answers))
    return [(round(share * row), *map(round, rest)) for row, rest in zip(rows, drawn.tolist(), strict=True)]


def real(kind: str, count: int, seed: int = 0) -> list[Lengths]:
    """Lengths, in GPT-2 tokens, of "hh" pairs or "alpaca" rows in $ESPALIER_DATA; rows over LONGEST are left out."""
    from tokenizers import ByteLevelBPETokenizer

    data = Path(os.environ["ESPALIER_DATA"])
    vocabulary = data.parent / "models/gpt2_tokenizer"
    bpe = ByteLevelBPETokenizer.from_file(str(vocabulary / "vocab.json"), str(vocabulary / "merges.txt"))
    texts = list(_hh(data) if kind == "hh" else _alpaca(data))
    found = []
    for i in np.random.default_rng(seed).permutation(len(texts)):
        p, c, r = (len(bpe.encode(text).ids) for text in texts[i])
        if min(p, c, r) > 0 and p + max(c, r) <= LONGEST:
            found.append((p, c, r))
        if len(found) == count:
            break
    return found


def _hh(data: Path) -> Iterator[tuple[str, str, str]]:
    """Transcripts that share everything up to the last assistant turn."""
    turn = "\n\nAssistant:"
    for row in _packed(data / "preferences/hh_harmless_dev.jsonl.xz"):
        (prompt, chosen), (other, rejected) = (_last(row[side], turn) for side in ("chosen", "rejected"))
        if prompt == other:
            yield prompt, chosen, rejected


def _last(text: str, turn: str) -> tuple[str, str]:
    prompt, mark, answer = text.rpartition(turn)
    return prompt + mark, answer


def _alpaca(data: Path) -> Iterator[tuple[str, str, str]]:
    for row in _packed(data / "instructions/alpaca_en_dev.jsonl.xz"):
        yield row["instruction"] + row["input"], row["output"], row["output"]


def _packed(path: Path) -> Iterator[dict[str, str]]:
    with lzma.open(path, "rt") as file:
        yield from map(json.loads, file)


def write(path: Path, lengths: list[Lengths], vocabulary: int, seed: int = 0) -> None:
    """One JSON row per line: words by Zipf's law in these lengths, fields prompt, chosen and rejected.

    Several rejected answers make a row each, which repeats prompt and chosen answer.
    """
    chance = np.random.default_rng(seed)
    share = 1 / np.arange(1, vocabulary - LAST_SPECIAL)
    share /= share.sum()

    def words(count: int) -> str:
        return " ".join(f"w{LAST_SPECIAL + 1 + i}" for i in chance.choice(len(share), count, p=share))

    with path.open("w") as file:
        for p, c, *others in lengths:
            row = {"prompt": words(p), "chosen": " " + words(c)}
            file.writelines(json.dumps(row | {"rejected": " " + words(r)}) + "\n" for r in others)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of such a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def rated(pairs: list[dict[str, str]], answers: int) -> list[dict[str, Any]]:
    """Rated answers: both of each pair, or with `answers` 1 the chosen and the rejected one in turns."""
    found = []
    for i, pair in enumerate(pairs):
        for side in ("chosen", "rejected") if answers == 2 else (("chosen", "rejected")[i % 2],):
            found.append({"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"})
    return found
