"""A language model that says what it is told: for tests, and for trying a strategy without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espalier.contracts import Prompt, Sample
from espalier.errors import ModelError
from espalier.spending import spend


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
        replies: texts, or samples with their log-probabilities, said one after the other over prompts and samples; or
            one function from prompt to reply.
        logprob: log-probability of a completion given a prompt, in nats.

    Attributes:
        calls: every prompt answered so far.
    """

    def __init__(
        self,
        *replies: str | Sample | Callable[[Prompt], str | Sample],
        logprob: Callable[[Prompt, str], float] | None = None,
    ) -> None:
        self.replies = replies
        self.logprob = logprob
        self.calls: list[Call] = []
        self._said = 0

    def complete(
        self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> list[str]:
        """The next n replies."""
        return [sample.text for sample in self._said_to(Call(prompt, n, temperature, max_tokens, seed))]

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """What the function says, per completion."""
        if self.logprob is None:
            raise ModelError("this scripted model has no log-probabilities; give it logprob=function.")
        spend(calls=1)
        return [self.logprob(prompt, completion) for completion in completions]

    def sample(
        self, prompts: Sequence[Prompt], *, n: int = 1, temperature: float = 1.0, max_tokens: int = 256, seed: int = 0
    ) -> list[list[Sample]]:
        """The next n replies for each prompt; a text is a sample without token ids."""
        return [self._said_to(Call(prompt, n, temperature, max_tokens, seed)) for prompt in prompts]

    def _said_to(self, call: Call) -> list[Sample]:
        self.calls.append(call)
        spend(calls=1)
        said = [self._next(call.prompt) for _ in range(call.n)]
        return [Sample(reply) if isinstance(reply, str) else reply for reply in said]

    def _next(self, prompt: Prompt) -> str | Sample:
        first = self.replies[0] if self.replies else ""
        if callable(first):
            return first(prompt)
        if self._said == len(self.replies):
            raise ModelError(f"the script has {len(self.replies)} replies and was asked for one more.")
        self._said += 1
        reply = self.replies[self._said - 1]
        return reply(prompt) if callable(reply) else reply
