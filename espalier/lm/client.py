"""Requests to a server: tried again where that may help, so many at a time, counted; each failure is one sentence.

RunError             the server cannot be reached, or fails again and again
ModelError           the server does not accept the key, the model or the address
  +-- RefusedError   the server does not accept what the request asks for
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from espalier.contracts import LM, Prompt
from espalier.errors import ModelError, RunError, unknown
from espalier.lm.address import Key
from espalier.lm.cache import canonical
from espalier.lm.counts import Counts
from espalier.lm.failures import HINT, TRANSIENT, RefusedError, TransientError, colon, message_of, retry_after
from espalier.spending import carried

LONGEST_WAIT = 300.0  # seconds that a server may ask us to wait
_FIRST_WAIT, _LAST_WAIT = 0.5, 30.0  # seconds; each wait is about twice the one before

Item = TypeVar("Item")
Found = TypeVar("Found")


class Client:
    """Sends requests to one server, from any number of threads.

    Args:
        url: the address, as `checked` leaves it.
        key: the API key.
        concurrency: requests under way at once, over all threads.
        timeout: seconds without a sign of the server.
        retries: how often a request is sent again.
        sleep: how to wait for some seconds.
        now: the time in seconds since 1970.
    """

    def __init__(
        self,
        url: str,
        key: Key,
        *,
        concurrency: int,
        timeout: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.url, self.key = url, key
        self.concurrency, self.timeout, self.retries = concurrency, timeout, retries
        self.sleep, self.now = sleep, now
        self.counts = Counts()
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock, self._chance = threading.Lock(), random.Random()
        host = urlsplit(url).hostname or ""
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key.value}"} if key.value else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx.Limits(max_connections=concurrency),
            trust_env=not (host == "localhost" or host.startswith("127.") or host == "::1"),  # no proxy to oneself
        )

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers to a request.

        Raises:
            RefusedError: the server does not accept what is asked for.
            ModelError: the server does not accept the key, the model or the address.
            RunError: the server cannot be reached, or fails again and again.
        """
        data = canonical(body).encode("ascii")
        tried = 0
        with self._slots:
            while True:
                try:
                    found = self._once(path, data, str(body.get("model")))
                    break
                except TransientError as problem:
                    if tried == self.retries:
                        times = f" It was tried {tried + 1} times; try again later." if tried else " Try again later."
                        raise RunError(f"{problem}{times}") from problem
                    self.sleep(self._wait(tried, problem))
                    tried += 1
                    self.count(retries=1)
        usage = found.get("usage") or {}
        self.count(calls=1, **{name: usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens")})
        return found

    def count(self, **more: int) -> None:
        """Add to the counts."""
        with self._lock:
            for name, number in more.items():
                setattr(self.counts, name, getattr(self.counts, name) + number)

    def models(self) -> list[str]:
        """The models that the server names; none where it does not say."""
        try:
            found = json.loads(self._http.get(f"{self.url}/models").content)
            return [str(model["id"]) for model in found["data"]]
        except (httpx.RequestError, ValueError, KeyError, TypeError):
            return []

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _once(self, path: str, data: bytes, model: str) -> dict[str, Any]:
        try:
            response = self._http.post(self.url + path, content=data, headers={"Content-Type": "application/json"})
        except httpx.ConnectError as error:
            raise RunError(
                f"nothing answers at {self.url} ({self._safe(str(error))}); start the server or check the address."
            ) from None
        except httpx.TimeoutException:
            raise TransientError(f"{self.url} did not answer within {self.timeout:g} s.") from None
        except httpx.RequestError:
            raise TransientError(f"{self.url} broke off in the middle of an answer.") from None
        if response.status_code in TRANSIENT:
            wait = retry_after(response.headers.get("retry-after"), self.now())
            raise TransientError(f"{self.url} fails with status {response.status_code}{self._said(response)}.", wait)
        if not response.is_success:
            raise self._failure(response, path, model)
        try:
            found = json.loads(response.content)
        except ValueError:
            kind = response.headers.get("content-type", "")
            if "json" in kind:
                raise TransientError(f"{self.url} broke off in the middle of an answer.") from None
            raise ModelError(f"{self.url} answers with {kind or 'no'} content, not JSON; {HINT}") from None
        return found if isinstance(found, dict) else {}

    def _failure(self, response: httpx.Response, path: str, model: str) -> ModelError:
        """The sentence for a status that no repetition changes."""
        status, said = response.status_code, self._said(response)
        if status == 401:  # what the server says may quote the key
            if self.key.value:
                return ModelError(f"{self.url} does not accept the API key in {self.key.place} (status {status}).")
            return ModelError(f"{self.url} asks for an API key (status {status}); give it in {self.key.place}.")
        if status == 404:
            known = self.models()
            if known and model not in known:
                return ModelError(f"{self.url}: {unknown('model', model, known)}")
            return ModelError(f"{self.url} does not know {path} or the model {model!r} (status 404{said}); {HINT}")
        if status in (400, 403, 422, 501):
            return RefusedError(f"{self.url} refuses the request for the model {model!r} (status {status}{said}).")
        return ModelError(f"{self.url} answers with status {status}{said}; {HINT}")

    def _said(self, response: httpx.Response) -> str:
        """What the server says of its failure, after a colon; nothing where it says nothing of use."""
        try:
            said = message_of(json.loads(response.content))
        except ValueError:
            said = response.text if response.headers.get("content-type", "").startswith("text/plain") else ""
        return colon(self._safe(said))

    def _safe(self, text: str) -> str:
        return text.replace(self.key.value, "***") if self.key.value else text

    def _wait(self, tried: int, problem: TransientError) -> float:
        if problem.wait is None:
            return min(_LAST_WAIT, _FIRST_WAIT * 2.0**tried) * self._chance.uniform(0.5, 1.0)  # threads spread out
        if problem.wait > LONGEST_WAIT:
            raise RunError(f"{problem} It asks to wait {problem.wait:,.0f} s; run the command again then.") from problem
        return problem.wait


def complete_all(
    lm: LM, prompts: Sequence[Prompt], *, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
) -> list[str]:
    """One answer for each prompt: from a server several at a time, from a model on this machine in batches."""
    workers: int | None = getattr(lm, "concurrency", None)
    if workers is None:
        found = lm.sample(prompts, n=1, temperature=temperature, max_tokens=max_tokens, seed=seed)
        return [samples[0].text for samples in found]

    def ask(prompt: Prompt) -> str:
        return lm.complete(prompt, temperature=temperature, max_tokens=max_tokens, seed=seed)[0]

    return in_threads(ask, prompts, workers)


def in_threads(ask: Callable[[Item], Found], items: Sequence[Item], workers: int) -> list[Found]:
    """The answer for each item, in order; after a failure nothing more is asked."""
    if len(items) < 2 or workers < 2:
        return [ask(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        return list(pool.map(carried(ask), items))
