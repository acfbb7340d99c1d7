"""Training a token classifier on rows with labeled spans, as a detector of hallucinations.

It needs a head over labels at every token of a completion, which the objectives' one score or next token is not; so it
has a loop of its own, on one device: cross-entropy over the completions' tokens, AdamW, a rate that rises and falls.
"""

from __future__ import annotations

import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError, RunError
from espalier.hallucinations import Span, labeled
from espalier.models import load
from espalier.models.token_classifier import LABELS, TokenClassifier, Written

IGNORED = -100  # of tokens that are not the completion's


@dataclass(frozen=True)
class TokenLabels:
    """How a token classifier is trained."""

    epochs: int = 3
    batch_size: int = 8  # rows
    learning_rate: float = 2e-5
    warmup: float = 0.1  # share of the steps
    weight_decay: float = 0.01
    max_tokens: int = 1024  # of passages and completion
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or self.learning_rate <= 0 or self.max_tokens < 32:
            raise RecipeError("epochs and batch_size are at least 1, learning_rate above 0, max_tokens at least 32.")

    def train(
        self, rows: Sequence[Row], model: str, out: Path, progress: Callable[[int, int, float], None] | None = None
    ) -> int:
        """Train a detector and save it as a folder of transformers, whole or not at all.

        Args:
            rows: with completion, passages and labels.
            model: folder or hub id of an encoder or decoder; its body is taken, its head is new.
            out: a new folder, which `judges/hallucination_tokens` opens.
            progress: told after each step: which, of how many, and its loss.

        Returns:
            How many rows were left out, for their completion is too long.

        Raises:
            RowError: there is nothing to learn from.
            RunError: `out` exists.
        """
        if out.exists():
            raise RunError(f"{str(out)!r} is there already; name another folder to write to.")
        if not any(labeled(row) for row in rows):
            raise RowError("no row has a labeled span; a detector learns from completions with and without.")
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            classifier = self._classifier(model)
            examples = [
                (one, targets(one, [span for span, _ in labeled(row)]))
                for row in rows
                if (one := classifier.write(row))
            ]
            self._fit(classifier, examples, progress)
        _save(classifier, out)
        return len(rows) - len(examples)

    def _classifier(self, model: str) -> TokenClassifier:
        from transformers import AutoModelForTokenClassification
        from transformers.utils import logging

        place = load.place(model)
        if place.adapter is not None:
            raise RecipeError(f"{model}: an adapter; merge it into its model first, with `espalier export`.")
        names: dict[str, Any] = {"id2label": LABELS, "label2id": {name: number for number, name in LABELS.items()}}
        shown = logging.get_verbosity()
        logging.set_verbosity_error()  # it reports that the head is new, which it is meant to be
        try:
            made: Any = load.load_weights(
                AutoModelForTokenClassification, place.model, dtype=torch.float32, num_labels=len(LABELS), **names
            )
        finally:
            logging.set_verbosity(shown)
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return TokenClassifier(made.to(device).train(), load.load_tokenizer(place.tokenizer), self.max_tokens)

    def _fit(
        self, classifier: TokenClassifier, examples: Sequence[tuple[Written, list[int]]],
        progress: Callable[[int, int, float], None] | None,
    ) -> None:  # fmt: skip
        if not examples:
            raise RowError(f"every completion is too long for {self.max_tokens} tokens; give more max_tokens.")
        parameters = list(classifier.model.parameters())
        optimizer = torch.optim.AdamW(parameters, self.learning_rate, weight_decay=self.weight_decay)
        steps = self.epochs * math.ceil(len(examples) / self.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, self.warmup))
        draw, step = random.Random(self.seed), 0
        for _ in range(self.epochs):
            order = draw.sample(examples, len(examples))
            for start in range(0, len(order), self.batch_size):
                value = token_loss(classifier, order[start : start + self.batch_size])
                value.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                if progress:
                    progress(step, steps, float(value.detach()))


def token_loss(classifier: TokenClassifier, batch: Sequence[tuple[Written, list[int]]]) -> Tensor:
    """-log p(label), the mean over the completions' tokens of a batch."""
    logits = classifier.logits([one for one, _ in batch])  # [B, T, 2]
    width = logits.shape[1]
    wanted = torch.tensor([own + [IGNORED] * (width - len(own)) for _, own in batch], device=logits.device)
    return cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)


def targets(written: Written, spans: Sequence[Span]) -> list[int]:
    """The label of each token: 1 where it has a character of a span, `IGNORED` outside the completion."""
    return [
        IGNORED if at is None else int(any(span.start < at[1] and at[0] < span.end for span in spans))
        for at in written.places
    ]


def rate(step: int, steps: int, warmup: float) -> float:
    """The learning rate's factor: from 0 to 1 over the warm-up, then down to 0 in a line."""
    rising = max(1, round(warmup * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


def _save(classifier: TokenClassifier, out: Path) -> None:
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        classifier.model.save_pretrained(partial)
        classifier.tokenizer.save_pretrained(partial)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
