"""Reward models and their yardsticks: how often the better answer of a pair gets the higher score."""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.objectives_cells import LONGEST, Cell, Size
from benchmarks.objectives_rows import Rows, bayes, digest, made
from espalier.contracts import Row
from espalier.lm.generate import evaluating
from espalier.models.roles import Role
from espalier.objectives.reward_model import RewardModel
from espalier.opening import open_renderer
from espalier.rows import read
from espalier.run import Run, locate
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest

HELD = 4  # the prompts of one in so many real pairs are asked for
FEATURES = 4000  # commonest words and pairs of words
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # chosen on a fifth of the pairs learned from
WORD = re.compile(r"\w+|[^\w\s]")

Split = tuple[list[Row], list[Row]]
Figures = dict[str, Any]


def rows(cell: Cell, size: Size) -> Split:
    """Pairs to learn from and pairs to ask for."""
    if cell.data:
        return real(cell.data, size)
    return made(cell.rows), made(Rows(n=2 * size.held_out, split="test", temperature=cell.rows.temperature))


def real(name: str, size: Size) -> Split:
    """Real pairs without the long ones, in a fixed random order; those of one prompt stay on one side."""
    folder = Path(os.environ["ESPALIER_DATA"])
    renderer = open_renderer(locate("sprout"), None, "off")
    found = list(read(folder / f"preferences/{name}.jsonl.xz"))
    random.Random(0).shuffle(found)
    short = (row for row in found if max(lengths(row, renderer)) <= LONGEST)
    kept = list(islice(short, size.real * HELD // (HELD - 1)))
    held = [int(digest(str(row["prompt"])), 16) % HELD == 0 for row in kept]
    learned, asked = ([row for row, away in zip(kept, held, strict=True) if away is side] for side in (False, True))
    return learned, asked


def lengths(row: Row, renderer: Any) -> list[int]:
    """Tokens of the prompt with either answer."""
    return [len(renderer.completion(row["prompt"], row[side]).ids) for side in ("chosen", "rejected")]


def accuracy(run: Run, asked: Sequence[Row], temperature: float) -> Figures:
    """How a reward model orders pairs: as the judge did, and as the exact reward does where it is known."""
    from transformers import AutoModelForSequenceClassification

    model: Any = AutoModelForSequenceClassification.from_pretrained(run.result, dtype=torch.float32)
    renderer = open_renderer(locate("sprout"), None, "off")
    trees = [RewardModel().plant(row, renderer) for row in asked]
    with evaluating(model):
        scores = Role(Engine(model), max_tokens=8192).scores(Forest.plant(trees)).reshape(-1, 2)
    agreed = scores[:, 0] > scores[:, 1]
    found: Figures = {"agreed": marks(agreed)}
    if "chosen_reward" in asked[0]:
        better = torch.tensor([row["chosen_reward"] > row["rejected_reward"] for row in asked])
        found |= {"right": marks(agreed == better), "best": round(bayes(asked, temperature), 4)}
    return found


def yardstick(cell: Cell, size: Size, minilm: str) -> Figures:
    """What is reached without a reward model: by words, by length, by a linear model of MiniLM's embeddings."""
    learned, asked = real(cell.data, size)
    if cell.objective == "longer":
        return {"agreed": marks(len(text(row, "chosen")) > len(text(row, "rejected")) for row in asked)}
    if cell.objective == "MiniLM" and not minilm:
        return {"missing": "give the folder of MiniLM with --minilm"}
    features = embedded(minilm) if cell.objective == "MiniLM" else bag(learned)
    known, new = (features([text(row, "chosen") for row in rows]) - features([text(row, "rejected") for row in rows])
                  for rows in (learned, asked))  # fmt: skip
    cut = len(known) * 4 // 5
    penalty = max(PENALTIES, key=lambda p: float((known[cut:] @ fitted(known[:cut], p) > 0).double().mean()))
    return {"agreed": marks(new @ fitted(known, penalty) > 0)}


def text(row: Row, side: str) -> str:
    """An answer's text."""
    answer = row[side]
    return answer if isinstance(answer, str) else "\n".join(str(turn["content"]) for turn in answer)


def bag(rows: Sequence[Row]) -> Callable[[Sequence[str]], Tensor]:
    """Which of the commonest words and pairs of words a text has. [texts, features]"""
    counts = Counter(gram for row in rows for side in ("chosen", "rejected") for gram in grams(text(row, side)))
    place = {gram: at for at, (gram, _) in enumerate(counts.most_common(FEATURES))}

    def features(texts: Sequence[str]) -> Tensor:
        found = torch.zeros(len(texts), len(place), dtype=torch.double)
        for i, one in enumerate(texts):
            found[i, [place[gram] for gram in grams(one) if gram in place]] = 1.0
        return found

    return features


def grams(words: str) -> set[str]:
    """Words and pairs of neighboring words."""
    found = WORD.findall(words.lower())
    return {*found, *(" ".join(pair) for pair in pairwise(found))}


def embedded(folder: str) -> Callable[[Sequence[str]], Tensor]:
    """Sentence embeddings: the mean of the last states, of length 1. [texts, H]"""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def features(texts: Sequence[str]) -> Tensor:
        found = []
        for at in range(0, len(texts), 16):
            inputs = tokenizer(
                list(texts[at : at + 16]), padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            mask = inputs["attention_mask"][..., None]
            mean = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
            found.append(torch.nn.functional.normalize(mean, dim=-1))
        return torch.cat(found).double()

    return features


def fitted(differences: Tensor, penalty: float) -> Tensor:
    """The weights that order most pairs right: logistic loss, and the squared weights times a penalty. [features]"""
    weights = torch.zeros(differences.shape[1], dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.softplus(-differences @ weights).mean() + penalty * weights.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach()


def marks(values: Iterable[Any]) -> str:
    """Truth values as ones and zeros."""
    return "".join("1" if value else "0" for value in values)
