"""A model that says of each token of a completion how likely it is that the passages do not support it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from espalier.contracts import Row
from espalier.errors import ModelError
from espalier.hallucinations import said
from espalier.models import load
from espalier.models.paired import Paired

LABELS = {0: "supported", 1: "hallucinated"}
TOKENS = 8192  # computed at once, padding included
_BEFORE = "\nAnswer: "  # stands before the completion

Token = tuple[int, int, float]  # where in the completion it stands, and its probability


@dataclass(frozen=True)
class Written:
    """Passages and completion as one sequence of tokens."""

    ids: list[int]
    types: list[int]  # which of two texts, for models that are told
    places: list[tuple[int, int] | None]  # where in the completion each token stands; None of the others


@dataclass(frozen=True)
class TokenClassifier:
    """A token classification model of two labels with its tokenizer: of encoders, and of decoders that have one."""

    model: Any
    tokenizer: Any
    max_tokens: int

    @classmethod
    def open(cls, target: str, max_tokens: int) -> TokenClassifier:
        """A trained model of a folder or hub id, on the best device there is.

        Raises:
            ModelError: there is no such model, or it is none of two labels.
        """
        from transformers import AutoModelForTokenClassification

        config = load.load_config(load.place(target).model)
        kinds = getattr(config, "architectures", None) or ["model"]
        if not kinds[0].endswith("ForTokenClassification") or config.num_labels != len(LABELS):
            raise ModelError(
                f"{target}: a {kinds[0]}, not a token classification model of two labels. Train one with "
                "espalier.train.token_labels."
            )
        opened = Paired.open(AutoModelForTokenClassification, target, whole=True)
        return cls(opened.model, opened.tokenizer, max_tokens)

    def write(self, row: Row) -> Written | None:
        """A row as tokens; what is too long is cut from the passages. None: the completion alone is too long."""
        completion, passages = said(row)
        lines = [f"Question: {row['question']}"] if row.get("question") else []
        lines += [" ".join(filter(None, (f"[{n}]", *passage))) for n, passage in enumerate(passages, 1)]
        limits = (self.max_tokens, load.context_length(self.model.config), self.tokenizer.model_max_length)
        room = min(limit for limit in limits if limit)
        if len(self.tokenizer(_BEFORE + completion)["input_ids"]) > room // 2:
            return None
        found = self.tokenizer(
            "\n".join(lines),
            _BEFORE + completion,
            truncation="only_first",
            max_length=room,
            return_offsets_mapping=True,
        )
        shift = len(_BEFORE)
        places = [
            (max(start - shift, 0), end - shift) if which == 1 and end > shift else None
            for (start, end), which in zip(found["offset_mapping"], found.sequence_ids(), strict=True)
        ]
        return Written(found["input_ids"], found.get("token_type_ids") or [0] * len(places), places)

    def tokens(self, rows: Sequence[Row]) -> list[list[Token] | None]:
        """The tokens of each completion with their probabilities; None where it is too long."""
        written = [self.write(row) for row in rows]
        found: list[list[Token] | None] = [None] * len(rows)
        with torch.inference_mode():
            for numbers in self._batches(written):
                batch = [one for number in numbers if (one := written[number])]
                likely = self.logits(batch).softmax(-1)[..., 1].cpu()  # [B, T]
                for number, one, row in zip(numbers, batch, likely.tolist(), strict=True):
                    found[number] = [(*at, p) for at, p in zip(one.places, row, strict=False) if at]
        return found

    def logits(self, batch: Sequence[Written]) -> Tensor:
        """Of each token and label, padded on the right, float32. [B, T, 2]"""
        width, device = max(len(one.ids) for one in batch), next(self.model.parameters()).device
        fill = self.tokenizer.pad_token_id or 0

        def padded(rows: Sequence[list[int]], value: int = 0) -> Tensor:
            return torch.tensor([row + [value] * (width - len(row)) for row in rows], device=device)

        given = {"input_ids": padded([one.ids for one in batch], fill)}
        given["attention_mask"] = padded([[1] * len(one.ids) for one in batch])
        if "token_type_ids" in self.tokenizer.model_input_names:
            given["token_type_ids"] = padded([one.types for one in batch])
        logits: Tensor = self.model(**given).logits
        return logits.float()

    def _batches(self, written: Sequence[Written | None]) -> Iterator[list[int]]:
        """The numbers of rows of like length together."""
        lengths = {number: len(one.ids) for number, one in enumerate(written) if one}
        part: list[int] = []
        for number in sorted(lengths, key=lambda number: lengths[number]):
            if part and (len(part) + 1) * lengths[number] > TOKENS:
                yield part
                part = []
            part.append(number)
        if part:
            yield part
