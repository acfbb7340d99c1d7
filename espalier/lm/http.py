"""A model behind a server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, Ollama, or a service."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

from espalier import seeding
from espalier.asking import started
from espalier.contracts import Prompt, Sample
from espalier.errors import ModelError, RecipeError, RowError
from espalier.lm.address import Key, checked
from espalier.lm.cache import Cache, canonical, digest
from espalier.lm.client import Client, in_threads
from espalier.lm.counts import Counts
from espalier.lm.failures import RefusedError, colon, message_of
from espalier.lm.pieces import of_choice
from espalier.messages import history_of, text_of
from espalier.spending import spend

Body = dict[str, Any]

_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
_NEEDS = (
    "log-probabilities of given completions need a server whose /completions answers `echo` together with `logprobs` "
    "for the tokens of the prompt, as vLLM does"
)


class Http:
    """A model behind an OpenAI-compatible server as a client: `complete`, `sample`, `logprobs`; any number of threads.

    Answers of `complete` and `logprobs` are cached if there is a cache, those of `sample` never: the model behind the
    server may be in training. A server that lacks `n` is asked n times, one that refuses `logprobs` samples without.
    Messages that end in the assistant's are an answer to go on with, which vLLM, SGLang and llama.cpp do.

    Args:
        model: the name that the server knows it by.
        url: the server's address, up to and with its version.
        endpoint: "chat" (text is one message of the user) or "completions" (text is continued as it stands).
        api_key: the key; it is neither printed nor cached.
        key_variable: the environment variable that holds the key, instead.
        cache: where answers are kept; none without.
        more: further fields of each request, such as {"top_p": 0.9}; None leaves a field out, such as {"seed": None}.
        concurrency: requests under way at once.
        timeout: seconds without a sign of the server.
        retries: how often a request that failed for a passing reason is sent again.
        sleep: how to wait for some seconds.
        now: the time in seconds since 1970.

    Attributes:
        name: what the model is called where its answers are kept.
    """

    def __init__(
        self,
        model: str,
        url: str = "https://api.openai.com/v1",
        *,
        endpoint: Literal["chat", "completions"] = "chat",
        api_key: str | None = None,
        key_variable: str | None = None,
        cache: Cache | None = None,
        more: Mapping[str, Any] | None = None,
        concurrency: int = 8,
        timeout: float = 300.0,
        retries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        if endpoint not in ("chat", "completions"):
            raise RecipeError(f"endpoint is 'chat' or 'completions', not {endpoint!r}.")
        if concurrency < 1 or timeout <= 0 or retries < 0:
            raise RecipeError("concurrency must be at least 1, timeout above 0 and retries at least 0.")
        url = checked(url)
        self.model = self.name = model
        self.endpoint, self.cache, self.more = endpoint, cache, dict(more or {})
        self.concurrency = concurrency
        self.client = Client(
            url, Key.find(url, api_key, key_variable),
            concurrency=concurrency, timeout=timeout, retries=retries, sleep=sleep, now=now,
        )  # fmt: skip
        self._several = True  # the server takes n > 1, as far as we know
        self._scored = True  # and `logprobs` with its samples

    @property
    def counts(self) -> Counts:
        """Requests, retries, tokens, and answers from the cache, so far."""
        return self.client.counts

    def complete(
        self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> list[str]:
        """The texts of n answers; at temperature 0 they are all the same."""
        body = self._body(prompt, n, temperature, max_tokens)
        copies = n if temperature > 0 else 1

        def ask(missing: Sequence[int]) -> list[Any]:
            choices = self._choices(body, len(missing), seed, missing[0])
            return [self._text(choice) for choice in choices]

        texts = self._cached({"path": self._path, "body": body, "seed": seed}, copies, ask)
        return texts if temperature > 0 else texts * n

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """log p(completion | prompt) in nats, without the end of the turn, which such a server does not score.

        Raises:
            RecipeError: the endpoint is "chat", whose servers score no given text.
            RowError: the prompt is empty, or the server's tokens run across its end.
            ModelError: the server offers no such log-probabilities.
        """
        if self.endpoint == "chat":
            raise RecipeError(f"{_NEEDS}; set endpoint to 'completions' and write prompts as plain text.")
        text = self._plain(prompt)
        if not text:
            raise RowError("the prompt is empty, and a server does not score a text's first token; give a prompt.")
        given = sorted({text, *(text + completion for completion in completions)})
        scored = dict(zip(given, in_threads(self._echo, given, self.concurrency), strict=True))
        return [self._rest(scored[text], scored[text + completion], completion) for completion in completions]

    def sample(
        self, prompts: Sequence[Prompt], *, n: int = 1, temperature: float = 1.0, max_tokens: int = 256, seed: int = 0
    ) -> list[list[Sample]]:
        """n samples for each prompt, with log-probabilities, and token ids, where the server returns them."""
        seen: Counter[str] = Counter()
        asked = []
        for prompt in prompts:
            body = self._body(prompt, n, temperature, max_tokens)
            key = canonical(body)
            asked.append((body, seen[key]))  # the same prompt once more gets other samples
            seen[key] += n

        def ask(part: tuple[Body, int]) -> list[Sample]:
            body, first = part
            return [self._sample(choice) for choice in self._choices(body, n, seed, first, scored=True)]

        return in_threads(ask, asked, self.concurrency)

    def close(self) -> None:
        """Close the connections; the cache is its maker's to close."""
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _path(self) -> str:
        return "/chat/completions" if self.endpoint == "chat" else "/completions"

    def _plain(self, prompt: Prompt) -> str:
        if not isinstance(prompt, str):
            raise RowError("the endpoint 'completions' continues plain text, not messages; use endpoint 'chat'.")
        return prompt

    def _body(self, prompt: Prompt, n: int, temperature: float, max_tokens: int) -> Body:
        if n < 1 or temperature < 0 or max_tokens < 1:
            raise RecipeError("n and max_tokens must be at least 1, and temperature at least 0.")
        chat = self.endpoint == "chat"
        before, begun = started(prompt)
        asked: Body = {"messages": history_of(before)} if chat else {"prompt": self._plain(before) + begun}
        if chat and begun:
            asked = {"messages": [*asked["messages"], {"role": "assistant", "content": begun}], **_CONTINUE}
        return {"model": self.model, **asked, "temperature": temperature, "max_tokens": max_tokens}

    def _cached(self, request: Body, n: int, ask: Callable[[Sequence[int]], list[Any]]) -> list[Any]:
        """n answers to a request, those that are missing asked for and kept."""
        if self.cache is None:
            return ask(range(n))
        key = digest({"url": self.client.url, "more": self.more, **request})
        found = self.cache.get(key, range(n))
        self.client.count(hits=len(found))
        first = next((number for number in range(n) if number not in found), n)
        if missing := range(first, n):  # with those after a hole, so that no sample is there twice
            new = dict(zip(missing, ask(missing), strict=True))
            self.cache.put(key, new)
            found |= new
        return [found[number] for number in range(n)]

    def _choices(self, body: Body, n: int, seed: int, first: int = 0, scored: bool = False) -> list[Body]:
        """n choices, whose samples are numbered from `first`: in one request, or in n where the server lacks that."""
        found: list[Body] = []
        if n > 1 and self._several:
            with suppress(RefusedError):  # what is wrong with more than n shows below
                found = self._ask({**body, "n": n, "seed": _seed(seed, first)}, scored)[:n]

        def ask(number: int) -> Body:
            return self._ask({**body, "seed": _seed(seed, number)}, scored)[0]

        rest = range(first + len(found), first + n)
        found += in_threads(ask, rest, self.concurrency)
        self._several = self._several and (n == 1 or not rest)
        return found

    def _ask(self, body: Body, scored: bool = False) -> list[Body]:
        """The choices in the answer to a request, in order; at least one."""
        if scored and self._scored:
            with suppress(RefusedError):
                return self._posted(self._path, {**body, "logprobs": True if self.endpoint == "chat" else 1})[0]
        try:
            choices, _ = self._posted(self._path, body)
        except RefusedError as error:
            if not body.keys() >= _CONTINUE.keys():
                raise
            raise ModelError(f"a server must go on with an answer that has begun, as vLLM does: {error}") from None
        self._scored = self._scored and not scored
        return choices

    def _posted(self, path: str, body: Body) -> tuple[list[Body], Body]:
        """The choices of an answer, in order, at least one; and what it says of tokens."""
        reply = self.client.post(path, {k: v for k, v in {**body, **self.more}.items() if v is not None})
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
            said = colon(message_of(reply)) or "; check that it speaks OpenAI's protocol"
            raise ModelError(f"{self.client.url}{path} answers without a choice{said}.")
        usage = reply.get("usage") or {}
        spend(calls=1, **{name: usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")})
        return sorted(choices, key=lambda choice: choice.get("index") or 0), usage

    def _text(self, choice: Body) -> str:
        return text_of(choice.get("message") or {}) if self.endpoint == "chat" else str(choice.get("text") or "")

    def _sample(self, choice: Body) -> Sample:
        found = choice.get("logprobs") or {}
        logps = found.get("token_logprobs") or [token.get("logprob") for token in found.get("content") or []]
        if not all(isinstance(logp, int | float) for logp in logps):
            logps = []
        ended = choice.get("finish_reason") not in ("length", "content_filter")
        text, ids = self._text(choice), tuple(choice.get("token_ids") or ())
        return Sample(text, ids, tuple(map(float, logps)), ended, of_choice(found, text) if logps else ())

    def _echo(self, text: str) -> list[list[Any]]:
        """The tokens of a text, each with its log-probability given those before it."""
        body = {"model": self.model, "prompt": text, "max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}

        def ask(_: Sequence[int]) -> list[Any]:
            try:
                choices, usage = self._posted("/completions", body)
            except RefusedError as error:
                raise ModelError(f"{_NEEDS}: {error}") from None
            scored = choices[0].get("logprobs") or {}
            tokens, logps = scored.get("tokens") or [], scored.get("token_logprobs") or []
            own = usage.get("prompt_tokens") or len(tokens) - 1  # the last is the model's
            if not 0 < own <= len(tokens) == len(logps):
                raise ModelError(f"{_NEEDS}; {self.client.url} returns none.")
            return [list(zip(tokens[:own], logps[:own], strict=True))]

        found: list[list[Any]] = self._cached({"path": "/completions", "body": body}, 1, ask)[0]
        return found

    def _rest(self, start: list[list[Any]], whole: list[list[Any]], completion: str) -> float:
        """The sum of log-probabilities of what follows the prompt."""
        if [token for token, _ in whole[: len(start)]] != [token for token, _ in start]:
            raise RowError(
                f"the server's tokens run across the end of the prompt, so that the completion {completion[:40]!r} "
                "cannot be scored by itself; let the completion begin with the space, not the prompt end in it."
            )
        logps = [logp for _, logp in whole[len(start) :]]
        if None in logps or (completion and not logps):
            raise ModelError(f"{_NEEDS}; {self.client.url} returns none for some tokens.")
        return float(sum(logps))


def _seed(seed: int, number: int) -> int:
    """The seed of a numbered sample: the given one for the first, in 31 bits for the others, as all servers take."""
    return seed if number == 0 else seeding.derive(seed, "sample", number) % 2**31
