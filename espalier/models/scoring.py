"""Models that score completions: what `train reward_model` hands over, or any classification model with one label.

    scorer = load_scorer("runs/rm")
    scorer.score([Row(prompt="How are you?", completion="Fine.")]).values    # (1.3,)

A decoder reads a row as it is rendered for training; an encoder (its tokenizer has a class token, and no template)
reads prompt and completion as its two segments. The score is what transformers' own class gives for that row alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espalier.contracts import Row, Scores
from espalier.errors import ModelError, RecipeError, RowError, RunError
from espalier.models import load as models
from espalier.verdicts import completion_text, prompt_text

if TYPE_CHECKING:
    from espalier.render import Renderer

TOKENS = 4096  # computed at once, padding included
Inputs = dict[str, list[int]]


class ScoringModel:
    """A sequence classification model of one label, as a scorer of rows with prompt and completion.

    Args:
        model: of transformers.
        tokenizer: its own.
        renderer: makes rows token ids; None for an encoder, which has its own manner.
        describe: where it is from.
    """

    def __init__(self, model: Any, tokenizer: Any, renderer: Renderer | None, *, describe: str = "") -> None:
        self.model, self.tokenizer, self.renderer, self.describe = model, tokenizer, renderer, describe
        self.context = models.context_length(model.config)
        self._pad = model.config.get_text_config().pad_token_id

    @property
    def key(self) -> str:
        """A fingerprint of everything that decides the token ids."""
        if self.renderer is not None:
            return self.renderer.key
        return hashlib.sha256(json.dumps(self.tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()

    def score(self, rows: Sequence[Row]) -> Scores:
        """One number per row; none where it cannot be read, or is longer than the model's context, with the reason."""
        values: list[float | None] = [None] * len(rows)
        reasons = [""] * len(rows)
        inputs: dict[int, Inputs] = {}
        for number, row in enumerate(rows):
            try:
                inputs[number] = self._inputs(row)
            except RowError as error:
                reasons[number] = str(error).rstrip(".")
        for part in self._batches(inputs):
            for number, value in zip(part, self._scores([inputs[number] for number in part]), strict=True):
                if not math.isfinite(value):
                    raise ModelError(
                        f"{self.describe}: a score is not finite; look for broken weights, or use float32."
                    )
                values[number] = value
        return Scores(tuple(values), tuple(reasons))

    def _inputs(self, row: Row) -> Inputs:
        """The token ids of a row, and of which segment each is where the model asks.

        Raises:
            RowError: it lacks a field, cannot be rendered, or is too long.
        """
        for name in ("prompt", "completion"):
            if row.get(name) is None:
                raise RowError(f"missing {name!r}, to be scored")
        if self.renderer is not None:
            rendered = self.renderer.completion(row["prompt"], row["completion"], row.get("tools"))
            found: Inputs = {"input_ids": rendered.ids.tolist()}
        else:
            found = dict(self.tokenizer(prompt_text(row), completion_text(row), verbose=False))
            found.pop("attention_mask", None)
        if self.context is not None and len(found["input_ids"]) > self.context:
            raise RowError(f"longer than the model's context of {self.context} tokens")
        return found

    def _batches(self, inputs: Mapping[int, Inputs]) -> Iterator[list[int]]:
        """Rows of similar length together; one by one where the model cannot tell padding from text."""
        lone = self._pad is None and self.renderer is not None
        part: list[int] = []
        for number in sorted(inputs, key=lambda number: len(inputs[number]["input_ids"])):
            if part and (lone or (len(part) + 1) * len(inputs[number]["input_ids"]) > TOKENS):
                yield part
                part = []
            part.append(number)
        if part:
            yield part

    def _scores(self, batch: Sequence[Inputs]) -> list[float]:
        """What the model gives, padded on the right."""
        import torch

        width = max(len(row["input_ids"]) for row in batch)
        fill = {"input_ids": self._pad or 0}
        found = {
            name: torch.tensor([row[name] + [fill.get(name, 0)] * (width - len(row[name])) for row in batch])
            for name in batch[0]
        }
        found["attention_mask"] = torch.tensor(
            [[int(at < len(row["input_ids"])) for at in range(width)] for row in batch]
        )
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            logits = self.model(**{name: values.to(device) for name, values in found.items()}).logits
        return [float(value) for value in logits[:, 0].float().tolist()]


@dataclass(frozen=True)
class LoadedScorer:
    """A model that scores, where one that writes could stand: nothing renders for it, and it has no reference."""

    policy: ScoringModel
    describe: str
    renderer: None = None
    base: None = None


def is_scorer(target: str | Path) -> bool:
    """Whether a name stands for a model that gives scores; no weights are read.

    Raises:
        ModelError: it stands for nothing that can be looked at.
    """
    place, _ = _result(str(target))
    return place.adapter is None and models.classifies(models.load_config(place.model))


def load_scorer(
    target: str | Path, *, device: str = "auto", dtype: str = "auto", template: str | None = None
) -> ScoringModel:
    """The reward model of a run, a folder or a hub id, as a scorer.

    Args:
        target: where it is; of a run, its result.
        device: cpu, cuda, mps, or auto: the best there is.
        dtype: float32 or bfloat16; auto is float32, since in bfloat16 scores that are close are equal.
        template: the chat template, as for `Renderer`; that of the run, or the tokenizer's own.

    Raises:
        ModelError: there is no such model, or it does not give one score.
        RunError: the run has no result yet.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    place, rendering = _result(str(target))
    folder = place.model
    config = models.load_config(folder)
    if place.adapter is not None or not models.classifies(config):
        raise ModelError(
            f"{target}: gives no scores. Give a reward model: a run of `espalier train reward_model`, or a "
            "classification model with one label."
        )
    if config.num_labels != 1:
        raise ModelError(f"{target}: has {config.num_labels} labels; a model that scores has one.")
    if dtype not in ("auto", "float32", "bfloat16"):
        raise RecipeError(f"no dtype named {dtype!r}. Known: auto, float32, bfloat16.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    model = models.load_weights(AutoModelForSequenceClassification, folder, dtype=kind, whole=True)
    tokenizer = models.load_tokenizer(folder)
    encoder = tokenizer.cls_token_id is not None and not (tokenizer.chat_template or template)
    renderer = None if encoder else _renderer(tokenizer, {**rendering, **({"template": template} if template else {})})
    return ScoringModel(model.to(device).requires_grad_(False).eval(), tokenizer, renderer, describe=folder)


def _renderer(tokenizer: Any, rendering: Mapping[str, Any]) -> Renderer:
    from espalier.render import Renderer

    return Renderer(tokenizer, template=rendering.get("template"), thinking=rendering.get("thinking") or "off")


def _result(target: str) -> tuple[models.Place, dict[str, Any]]:
    """Where the weights are that a name stands for, and how their run rendered its rows."""
    folder = Path(target).expanduser()
    if not (folder / "run.json").exists():
        return models.place(target), {}
    recipe = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
    made = next((folder / name for name in ("adapter", "model") if (folder / name).exists()), None)
    if made is None:
        raise RunError(f"{target}: this run has no result yet. Go on with it: espalier train --resume --out {target}")
    return models.place(str(made)), recipe.get("render", {})
