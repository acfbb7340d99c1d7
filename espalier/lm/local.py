"""A model on this machine that answers: generation with the prompt's cache shared, log-probabilities by the engine."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from espalier import seeding
from espalier.asking import started
from espalier.contracts import Prompt, Sample
from espalier.errors import RecipeError, RowError
from espalier.lm.counts import Counts
from espalier.lm.generate import Batch, Sampling, evaluating
from espalier.lm.pieces import spelled
from espalier.models.roles import Role
from espalier.render import Ids, Renderer
from espalier.spending import spend
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

SCORED = 4096  # tokens scored at once, or more where a model may: with fewer less is shared, more brings no more speed
Picked = tuple[int, int, float]  # row, token, log-probability


@dataclass(frozen=True)
class _Row:
    """One sample to write."""

    prompt: int  # which prompt
    number: int  # which of its samples
    ids: Ids
    room: int  # how many tokens may follow
    chance: Tensor  # uniform in [0, 1) [max_tokens]


class Local:
    """A causal language model as a client: `complete`, `sample`, `stream`, `logprobs`.

    A sample depends on the seed, its prompt and its number, not on what else is in the batch. Its log-probabilities are
    the model's own, at temperature 1 and before `top_p`, whatever it was sampled with. An answer stops at an end token
    (which is the last of its ids, and not in its text), at `max_tokens`, or where the model's context is full. Messages
    that end in the assistant's are an answer that has begun: it is gone on with, and only what is new is returned.

    Args:
        model: an engine, or a role (the policy, a reference with its adapter switched off).
        renderer: makes prompts token ids, and says which tokens end an answer.
        tokens_per_batch: prompts and answers held in memory at once, in tokens.

    Attributes:
        context: tokens the model can read beside its virtual ones, None if it has no limit.
        name: what the model is called where its answers are kept.
        counts: prompts and tokens so far.
    """

    def __init__(self, model: Engine | Role, renderer: Renderer, *, tokens_per_batch: int = 16_384) -> None:
        self.role = model if isinstance(model, Role) else Role(model)
        self.renderer = renderer
        self.tokens_per_batch = tokens_per_batch
        self.context = self.role.longest
        self.name, self.counts = self.role.describe, Counts()

    def complete(
        self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> list[str]:
        """The texts of n answers."""
        ids = [self._ids(prompt)]
        found = self.sample_ids(ids, n=n, temperature=temperature, max_tokens=max_tokens, seed=seed)
        return [sample.text for sample in found[0]]

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """log p(completion, end of turn included | prompt) in nats; the prompt is computed once."""
        return self.logprobs_many([(prompt, completions)])[0]

    def logprobs_many(self, asked: Sequence[tuple[Prompt, Sequence[str]]]) -> list[list[float]]:
        """The same for several prompts; what they begin with alike is computed once for each batch."""
        trees = [
            Tree.of([self.renderer.completion(prompt, completion)])
            for prompt, completions in asked
            for completion in completions
        ]
        longest = max((tree.longest for tree in trees), default=0)
        if self.context is not None and longest > self.context:
            raise RowError(
                f"prompt and completion are {longest} tokens and the model reads {self.context}; shorten them."
            )
        forest = Forest.plant(trees, device=self.role.device)
        found = [0.0] * len(trees)
        with self._answering():
            budget = min(self.tokens_per_batch, max(SCORED, self.role.max_tokens or 0))
            for piece in forest.pieces(budget, shared=self.role.inner.layout == "trees"):
                part = forest.select(piece)
                sums = part.sum_tokens(self.role.inner(part)["logps"]).tolist()
                for number, value in zip(piece, sums, strict=True):
                    found[number] = value
        self._count([path.ids for path in forest.paths], [])
        values = iter(found)
        return [[next(values) for _ in completions] for _, completions in asked]

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int = 0,
    ) -> list[list[Sample]]:
        """n samples for each prompt, with the text of each token."""
        ids = [self._ids(prompt) for prompt in prompts]
        found = self.sample_ids(ids, n=n, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
        return [[replace(sample, tokens=self._tokens(sample)) for sample in samples] for samples in found]

    def sample_ids(
        self,
        prompts: Sequence[Ids],
        *,
        n: int = 1,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int = 0,
    ) -> list[list[Sample]]:
        """n samples for each prompt that is rendered already.

        Args:
            prompts: token ids. [L] each
            n: samples per prompt; at temperature 0 they are all the same.
            temperature: the logits are divided by it; 0 takes the likeliest token each time.
            top_p: only the likeliest tokens that together reach this probability.
            max_tokens: longest answer, its end token included.
            seed: the same seed gives the same samples.

        Raises:
            RowError: a prompt is empty or fills the model's context.
        """
        if n < 1:
            raise RecipeError(f"n is {n}; it must be at least 1.")
        sampling = Sampling(temperature, top_p, max_tokens, seed)
        written = self._rows(prompts, n if temperature > 0 else 1, sampling)
        found: dict[tuple[int, int], Sample] = {}
        with self._answering():
            for rows in self._batches(written):
                found |= zip(((row.prompt, row.number) for row in rows), self._samples(rows, sampling), strict=True)
        self._count(prompts, list(found.values()))
        return [[found[p, number if temperature > 0 else 0] for number in range(n)] for p in range(len(prompts))]

    def stream(
        self, prompt: Prompt, *, temperature: float = 1.0, top_p: float = 1.0, max_tokens: int = 256, seed: int = 0
    ) -> Iterator[str]:
        """Pieces of the text that `sample` would give, as soon as their characters are whole."""
        sampling = Sampling(temperature, top_p, max_tokens, seed)
        steps = self._steps(self._rows([self._ids(prompt)], 1, sampling), sampling)
        written: list[int] = []
        shown = ""
        while picked := self._next(steps):
            written += [token for _, token, _ in picked if token not in self.renderer.stop_ids]
            text = self.renderer.decode(written)
            if len(text) > len(shown) and not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
        if rest := self.renderer.decode(written)[len(shown) :]:
            yield rest

    def _count(self, prompts: Sequence[Ids], samples: Sequence[Sample]) -> None:
        read, written = sum(map(len, prompts)), sum(len(sample.ids) for sample in samples)
        spend(calls=len(prompts), prompt_tokens=read, completion_tokens=written)
        self.counts.calls += len(prompts)
        self.counts.prompt_tokens += read
        self.counts.completion_tokens += written

    def _ids(self, prompt: Prompt) -> Ids:
        """What the model sees before it writes: a prompt, and the answer to it if that has begun."""
        before, begun = started(prompt)
        if not begun:
            return self.renderer.prompt(prompt)
        ids = self.renderer.completion(before, begun).ids
        return ids[:-1] if ids[-1] in self.renderer.stop_ids else ids

    def _tokens(self, sample: Sample) -> tuple[str, ...]:
        """The text of each token of a sample; its end has none."""
        ended = sample.ids[-1] in self.renderer.stop_ids
        tokens = spelled(self.renderer.decode, sample.ids[:-1] if ended else sample.ids)
        return (*tokens, "") if ended else tokens

    def _next(self, steps: Iterator[list[Picked]]) -> list[Picked] | None:
        """One step; between steps the model is left as it was, since the caller may use it."""
        with self._answering():
            return next(steps, None)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        with evaluating(self.role.inner.model), self.role.context():
            yield

    def _steps(self, rows: Sequence[_Row], sampling: Sampling) -> Iterator[list[Picked]]:
        """Write rows until each has ended or is full; what was picked, step by step."""
        batch = Batch(self.role.inner, [row.ids for row in rows])
        chance = torch.stack([row.chance for row in rows])
        for step in range(sampling.max_tokens):
            picked = batch.pick(chance[:, step], sampling)
            yield picked
            going = {row for row, token, _ in picked if token not in self.renderer.stop_ids}
            batch.extend({row for row in going if step + 1 < rows[row].room})
            if not batch.open:
                return

    def _samples(self, rows: Sequence[_Row], sampling: Sampling) -> list[Sample]:
        ids: list[list[int]] = [[] for _ in rows]
        logps: list[list[float]] = [[] for _ in rows]
        for picked in self._steps(rows, sampling):
            for row, token, logp in picked:
                ids[row].append(token)
                logps[row].append(logp)
        return [self._sample(*both) for both in zip(ids, logps, strict=True)]

    def _sample(self, ids: list[int], logps: list[float]) -> Sample:
        ended = ids[-1] in self.renderer.stop_ids
        return Sample(self.renderer.decode(ids[:-1] if ended else ids), tuple(ids), tuple(logps), ended)

    def _rows(self, prompts: Sequence[Ids], copies: int, sampling: Sampling) -> list[_Row]:
        """The rows to write; their chance follows from the prompt and how often it came before, not from others."""
        seen: Counter[str] = Counter()
        rows = []
        for p, ids in enumerate(prompts):
            digest, room = hashlib.sha256(ids.tobytes()).hexdigest(), self.room(ids, sampling.max_tokens)
            for number in range(copies):
                chance = seeding.generator(sampling.seed, "sample", digest, seen[digest], number)
                rows.append(_Row(p, number, ids, room, torch.rand(sampling.max_tokens, generator=chance)))
            seen[digest] += 1
        return rows

    def _batches(self, rows: Sequence[_Row]) -> Iterator[list[_Row]]:
        """Rows to write together within the token budget: of like length, of one where none may be padded."""
        padded = self.role.inner.layout == "trees"
        batch: list[_Row] = []
        widest = 0
        for row in sorted(rows, key=lambda row: -len(row.ids)):
            width = len(row.ids) + row.room
            full = max(widest, width) * (len(batch) + 1) > self.tokens_per_batch
            if batch and (full or (not padded and len(row.ids) != len(batch[-1].ids))):
                yield batch
                batch, widest = [], 0
            batch.append(row)
            widest = max(widest, width)
        if batch:
            yield batch

    def room(self, ids: Ids, max_tokens: int) -> int:
        """How many tokens may be written after these.

        Raises:
            RowError: none.
        """
        if not len(ids):
            raise RowError("the prompt is empty and the tokenizer has no start token: there is nothing to continue.")
        room = max_tokens if self.context is None else min(max_tokens, self.context - len(ids))
        if room < 1:
            raise RowError(
                f"the prompt is {len(ids)} tokens long and the model reads {self.context}: "
                "no room is left for an answer. Shorten the prompt."
            )
        return room
