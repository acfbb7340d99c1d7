"""Numbers and names that the passages do not have: the floor for detectors of hallucinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.catalogue import method
from espalier.contracts import Row
from espalier.hallucinations import Found, Span, SupportScorer, said, share_supported
from espalier.support import unsupported


@method(paper="")
@dataclass(frozen=True)
class HallucinationWords(SupportScorer):
    """Mark the numbers and names of a completion that stand in none of its passages, without a model.

    Inputs: rows with completion and passages, perhaps question, whose words count as known. The score is the share of
    the completion's characters that are not marked.
    Relations: judges/hallucination_prompted and judges/hallucination_tokens also see what passages contradict; a value
    that another sentence has passes here.
    """

    names: bool = True  # numbers and names alone; otherwise every content word

    def detect(self, rows: Sequence[Row]) -> list[Found]:
        return [self._detected(row) for row in rows]

    def _detected(self, row: Row) -> Found:
        completion, passages = said(row)
        sources = [text for passage in passages for text in passage] + [str(row.get("question") or "")]
        spans = [Span(*place, "baseless") for place in unsupported(completion, sources, names=self.names)]
        return Found(tuple(spans), share_supported(completion, spans))
