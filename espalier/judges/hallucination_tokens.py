"""A token classifier trained on labeled hallucinations, as RAGTruth's detectors are trained (Niu et al., 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from espalier.catalogue import method
from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.hallucinations import Found, Span, SupportScorer, said

if TYPE_CHECKING:
    from espalier.models.token_classifier import Token, TokenClassifier


@method(paper="arXiv:2401.00396")
@dataclass(frozen=True)
class HallucinationTokens(SupportScorer):
    """Mark the tokens of a completion that a trained classifier, which reads the passages too, calls unsupported.

    Inputs: rows with completion and passages, perhaps question; a model trained by espalier.train.token_labels. The
    score is 1 less the probability of the least supported token; a completion that is too long has none.
    Relations: judges/hallucination_prompted needs no training; judges/hallucination_words needs no model.
    Departs from the paper: it labels tokens, where the paper's detector, a language model, writes the spans.
    """

    model: str = ""  # folder or hub id
    threshold: float = 0.5  # a token is marked from this probability on
    max_tokens: int = 1024  # of passages and completion; passages are cut, and a completion has half of it at most

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or self.max_tokens < 32:
            raise RecipeError("judges/hallucination_tokens: threshold lies between 0 and 1, max_tokens from 32 on.")

    def detect(self, rows: Sequence[Row]) -> list[Found]:
        found = self.opened.tokens(rows)
        return [self._found(said(row)[0], tokens) for row, tokens in zip(rows, found, strict=True)]

    @cached_property
    def opened(self) -> TokenClassifier:
        """The model; it is opened once.

        Raises:
            RecipeError: none is named.
            ModelError: it is no token classifier of two labels.
        """
        from espalier.models.token_classifier import TokenClassifier

        if not self.model:
            raise RecipeError("judges/hallucination_tokens: name a model that was trained to detect, model = FOLDER.")
        return TokenClassifier.open(self.model, self.max_tokens)

    def _found(self, completion: str, tokens: list[Token] | None) -> Found:
        if tokens is None:
            return Found(reason="the completion is too long")
        worst = max((likely for _, _, likely in tokens), default=0.0)
        return Found(tuple(marked(completion, tokens, threshold=self.threshold)), 1 - worst)


def marked(completion: str, tokens: Sequence[Token], *, threshold: float) -> list[Span]:
    """The stretches whose tokens all have at least this probability, without the spaces around them."""
    stretches: list[tuple[int, int]] = []
    joined = False
    for start, end, likely in tokens:
        if likely >= threshold:
            stretches.append((stretches.pop()[0] if joined else start, end))
        joined = likely >= threshold
    found = []
    for start, end in stretches:
        text = completion[start:end]
        begin = start + len(text) - len(text.lstrip())
        if stop := len(text.strip()):
            found.append(Span(begin, begin + stop))
    return found
