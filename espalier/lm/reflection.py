"""Self-RAG's reflection tokens (Asai et al., 2023), for models on this machine whose tokenizer has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espalier.contracts import LM, Hit
from espalier.lm.critics import Shares, shares
from espalier.lm.generate import evaluating
from espalier.lm.local import Local
from espalier.lm.segments import Segment, mean_probability
from espalier.render import Ids, Rendered
from espalier.spending import spend
from espalier.tokens import Codec, alternatives, quote
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

RETRIEVAL = ("[Retrieval]", "[No Retrieval]")
GOES_ON = "[Continue to Use Evidence]"
RELEVANT = ("[Relevant]", "[Irrelevant]")
SUPPORT = ("[Fully supported]", "[Partially supported]", "[No support / Contradictory]")
USE = tuple(f"[Utility:{number}]" for number in range(1, 6))
PASSAGE = ("<paragraph>", "</paragraph>")
TOKENS = (*RETRIEVAL, GOES_ON, *RELEVANT, *SUPPORT, *USE, *PASSAGE)
PROMPT = ("### Instruction:\n", "\n\n### Response:\n")  # what its models were trained on


@dataclass(frozen=True)
class ReflectionReader:
    """Writes with the model's own reflection tokens; they are read as ids, and none that a passage spells counts."""

    lm: Local
    max_tokens: int
    ids: dict[str, int]
    codec: Codec

    @classmethod
    def of(cls, lm: LM, max_tokens: int) -> ReflectionReader | None:
        """None for a model that has no such tokens."""
        if not isinstance(lm, Local):
            return None
        known = lm.renderer.tokenizer.get_vocab()
        ids = {token: known[token] for token in TOKENS if token in known}
        return cls(lm, max_tokens, ids, Codec(lm.renderer.tokenizer)) if len(ids) == len(TOKENS) else None

    def wants(self, question: str, before: Sequence[Segment]) -> Shares | None:
        """By the tokens [Retrieval] and [No Retrieval]."""
        return self._shares([self._prompt(question, before)], RETRIEVAL)[0]

    def segments(self, question: str, before: Sequence[Segment], hits: Sequence[Hit], whole: bool) -> list[Segment]:
        """Each written from one passage, at temperature 0; its own tokens judge it, at the places where it has them."""
        start = self._prompt(question, before)
        prompts = [np.append(start, self._passage(hit)).astype(np.int32) for hit in hits]
        prompts = prompts or [np.append(start, self.ids[RETRIEVAL[1]]).astype(np.int32)]
        samples = [one[0] for one in self.lm.sample_ids(prompts, temperature=0.0, max_tokens=self.max_tokens)]
        relevant: list[Shares | None] = [*self._shares(prompts, RELEVANT)] if hits else [None]
        found = []
        read: list[Hit | None] = [*hits] if hits else [None]
        for prompt, sample, hit, relevance in zip(prompts, samples, read, relevant, strict=True):
            ids = self._segment(sample.ids)
            supported, useful = (self._critique(prompt, ids, tokens) for tokens in (SUPPORT, USE))
            ended = sample.ended and len(ids) == len(sample.ids)
            likely = mean_probability(sample.logps[: len(ids)])
            found.append(Segment(self._text(ids), ended, hit, likely, relevance, supported, useful, ids))
        return found

    def _prompt(self, question: str, before: Sequence[Segment]) -> Ids:
        text = PROMPT[0] + self._quoted(question) + PROMPT[1]
        return np.array([*self.codec.begin(text), *(number for segment in before for number in segment.ids)], np.int32)

    def _passage(self, hit: Hit) -> list[int]:
        inside = self.codec.encode(self._quoted(f"{hit.title}\n{hit.text}"), continues=True)
        return [self.ids[RETRIEVAL[0]], self.ids[PASSAGE[0]], *inside, self.ids[PASSAGE[1]]]

    def _quoted(self, text: str) -> str:
        return str(quote(text, alternatives(self.codec.special | self.codec.added | set(TOKENS))))

    def _segment(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Up to where it would look something up again, or write a passage of its own."""
        ends = {self.ids[token] for token in (*RETRIEVAL, GOES_ON, PASSAGE[0])}
        return tuple(ids[: next((at for at, number in enumerate(ids) if number in ends), len(ids))])

    def _critique(self, prompt: Ids, ids: Sequence[int], tokens: Sequence[str]) -> Shares | None:
        """The shares of some tokens where the first of them stands."""
        wanted = {self.ids[token] for token in tokens}
        at = next((at for at, number in enumerate(ids) if number in wanted), None)
        return None if at is None else self._shares([np.append(prompt, ids[:at]).astype(np.int32)], tokens)[0]

    def _shares(self, prompts: Sequence[Ids], tokens: Sequence[str]) -> list[Shares]:
        """Of the tokens that may come next, after each prompt."""
        paths = [_next(prompt, self.ids[token]) for prompt in prompts for token in tokens]
        role = self.lm.role
        with evaluating(role.inner.model):
            forest = Forest.plant([Tree.of([path]) for path in paths], device=role.device)
            logps = role.completion_logps(forest).tolist()
        spend(calls=len(prompts), prompt_tokens=sum(map(len, prompts)))
        return [shares(logps[at : at + len(tokens)]) for at in range(0, len(logps), len(tokens))]

    def _text(self, ids: Sequence[int]) -> str:
        """Without reflection tokens, whether or not the tokenizer calls them special."""
        own = set(self.ids.values())
        return self.lm.renderer.decode([number for number in ids if number not in own])


def _next(prompt: Ids, token: int) -> Rendered:
    return Rendered(np.append(prompt, token).astype(np.int32), np.arange(len(prompt) + 1) == len(prompt))
