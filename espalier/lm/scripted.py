"""A language model that says what it is told: for tests, and for trying a strategy without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espalier.contracts import Prompt, Sample
from espalier.errors import ModelError


@dataclass(frozen=True)
class Call:
    """One prompt that was answered, and how it was asked."""

    prompt: Prompt
    n: int
    temperature: float
    max_tokens: int
    seed: int


class Scripted:
    """Answers from a script, and remembers what it was asked.

    Args:
        replies: texts, said one after the other over prompts and samples; or one function from prompt to reply.
        logprob: log-probability of a completion given a prompt, in nats.

    Attributes:
        calls: every prompt answered so far.
    """

    def __init__(
        self, *replies: str | Callable[[Prompt], str], logprob: Callable[[Prompt, str], float] | None = None
    ) -> None:
        self.replies = replies
        self.logprob = logprob
        self.calls: list[Call] = []
        self._said = 0

    def complete(
        self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> list[str]:
        """The next n replies."""
        self.calls.append(Call(prompt, n, temperature, max_tokens, seed))
        return [self._next(prompt) for _ in range(n)]

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """What the function says, per completion."""
        if self.logprob is None:
            raise ModelError("this scripted model has no log-probabilities; give it logprob=function.")
        return [self.logprob(prompt, completion) for completion in completions]

    def sample(
        self, prompts: Sequence[Prompt], *, n: int = 1, temperature: float = 1.0, max_tokens: int = 256, seed: int = 0
    ) -> list[list[Sample]]:
        """The next n replies for each prompt, as samples without token ids."""
        return [
            [Sample(text) for text in self.complete(p, n=n, temperature=temperature, max_tokens=max_tokens, seed=seed)]
            for p in prompts
        ]

    def _next(self, prompt: Prompt) -> str:
        first = self.replies[0] if self.replies else None
        if first is not None and not isinstance(first, str):
            return first(prompt)
        if self._said == len(self.replies):
            raise ModelError(f"the script has {len(self.replies)} replies and was asked for one more.")
        self._said += 1
        return str(self.replies[self._said - 1])
