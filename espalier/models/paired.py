"""Models that read a query and a passage together and say how well they go together: opened, and asked in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from espalier.candidates import Candidates
from espalier.contracts import Scores
from espalier.errors import ModelError
from espalier.models import load

TOKENS = 4096  # computed at once, padding included

Inputs = dict[str, list[int]]
Write = Callable[[Any, str, str, int], Inputs]  # tokenizer, query, passage, tokens at most
Read = Callable[[dict[str, Tensor]], Tensor]  # a batch, padded on the right -> one score each [B]


@dataclass(frozen=True)
class Paired:
    """A model with its tokenizer."""

    model: Any
    tokenizer: Any
    target: str  # as it was asked for

    @classmethod
    def open(cls, kind: Any, target: str, *, whole: bool) -> Paired:
        """A model of a folder or hub id, on the best device there is.

        Args:
            kind: of transformers' classes, the one with the right head.
            target: folder or hub id.
            whole: refuse weights that lack a part.

        Raises:
            ModelError: there is no such model, or only an adapter.
        """
        place = load.place(target)
        if place.adapter is not None:
            raise ModelError(f"{target}: an adapter; merge it into its model first, with `espalier export`.")
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        model: Any = load.load_weights(kind, place.model, dtype=torch.float32, whole=whole)  # bfloat16 makes ties
        return cls(model.to(device).requires_grad_(False).eval(), load.load_tokenizer(place.model), target)

    def scores(self, groups: Sequence[Candidates], write: Write, read: Read, *, max_tokens: int) -> Scores:
        """The score of every row.

        Args:
            groups: of all rows.
            write: token ids of a query and a passage.
            read: the scores of a batch.
            max_tokens: of both together; the passage is cut.

        Raises:
            ModelError: a score is not finite.
        """
        room = min(max_tokens, load.context_length(self.model.config) or max_tokens, self.tokenizer.model_max_length)
        inputs = {
            row: write(self.tokenizer, group.query, passage, room)
            for group in groups
            for row, passage in zip(group.rows, group.passages, strict=True)
        }
        found: dict[int, float] = {}
        with torch.inference_mode():
            for rows in self._batches(inputs):
                values = read(self._padded([inputs[row] for row in rows])).float().tolist()
                if not all(map(math.isfinite, values)):
                    raise ModelError(f"{self.target}: a score is not finite; look for broken weights.")
                found |= dict(zip(rows, values, strict=True))
        return Scores(tuple(found[row] for row in range(len(found))))

    def _batches(self, inputs: dict[int, Inputs]) -> Iterator[list[int]]:
        """Rows of like length together; one by one where the model cannot tell padding from text."""
        alone = self.model.config.get_text_config().pad_token_id is None
        part: list[int] = []
        for row in sorted(inputs, key=lambda row: len(inputs[row]["input_ids"])):
            if part and (alone or (len(part) + 1) * len(inputs[row]["input_ids"]) > TOKENS):
                yield part
                part = []
            part.append(row)
        if part:
            yield part

    def _padded(self, rows: Sequence[Inputs]) -> dict[str, Tensor]:
        pad = self.model.config.get_text_config().pad_token_id or 0
        width = max(len(row["input_ids"]) for row in rows)
        return {
            name: torch.tensor(
                [row[name] + [pad if name == "input_ids" else 0] * (width - len(row[name])) for row in rows],
                device=self.model.device,
            )
            for name in rows[0]
        }
