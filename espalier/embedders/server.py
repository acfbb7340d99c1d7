"""Embeddings of a server that speaks OpenAI's protocol, https://platform.openai.com/docs/api-reference/embeddings."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from espalier.catalogue import method
from espalier.embedding import TextEmbedder, Vectors, unit
from espalier.errors import ModelError, RecipeError
from espalier.lm.address import Key, checked
from espalier.lm.cache import Cache, digest
from espalier.lm.client import Client, in_threads


@method(paper="https://platform.openai.com/docs/api-reference/embeddings")
@dataclass(frozen=True)
class Server(TextEmbedder):
    """Ask the /embeddings of a server: vLLM, SGLang, llama.cpp, Ollama, text-embeddings-inference, or a service.

    Inputs: the server's address and the name of its model. Vectors of queries are kept in the cache, those of
    passages in the index.
    Relations: sentence runs the model here, and knows its prefixes, which here are to be given.
    """

    model: str = "text-embedding-3-small"
    url: str = "https://api.openai.com/v1"
    query_prefix: str = ""
    passage_prefix: str = ""
    key_variable: str | None = None  # the environment variable that holds the key
    batch: int = 64  # texts of a request
    concurrency: int = 4  # requests under way at once
    timeout: float = 300.0  # seconds without a sign of the server
    retries: int = 5
    cached: bool = True  # vectors of queries are kept in the cache folder

    def __post_init__(self) -> None:
        checked(self.url)
        if self.batch < 1 or self.concurrency < 1 or self.timeout <= 0 or self.retries < 0:
            raise RecipeError(
                "embedders/server: batch and concurrency are at least 1, timeout above 0 and retries at least 0."
            )

    @property
    def name(self) -> str:
        """Model, address and prefixes: a server does not say which weights it has."""
        prefixes = f" {self.query_prefix!r} {self.passage_prefix!r}" if self.query_prefix or self.passage_prefix else ""
        return f"{checked(self.url)}:{self.model}{prefixes}"

    @property
    def about(self) -> str:
        """Prefixes."""
        prefixes = zip(("queries", "passages"), (self.query_prefix, self.passage_prefix), strict=True)
        said = [f"{what} with prefix {prefix!r}" if prefix else f"{what} as they are" for what, prefix in prefixes]
        return f"{self.model} at {checked(self.url)} embeds {' and '.join(said)}"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """One vector for each text. [texts, H]

        Raises:
            ModelError: the server refuses, or answers otherwise than the protocol says.
            RunError: it cannot be reached.
        """
        prefix = self.query_prefix if query else self.passage_prefix
        written = [prefix + text for text in texts]
        with ExitStack() as stack:
            cache = stack.enter_context(Cache()) if query and self.cached else None
            client = stack.enter_context(closing(self._client()))
            keys = {text: digest({"url": client.url, "model": self.model, "embedded": text}) for text in written}
            kept = {text: cache.get(key, [0]) for text, key in keys.items()} if cache is not None else {}
            found = {text: _numbers(one[0]) for text, one in kept.items() if one}
            missing = [text for text in keys if text not in found]
            parts = [missing[start : start + self.batch] for start in range(0, len(missing), self.batch)]
            answers = in_threads(partial(self._asked, client), parts, self.concurrency)
            for text, vector in zip(missing, chain.from_iterable(answers), strict=True):
                found[text] = vector
                if cache is not None:
                    cache.put(keys[text], {0: base64.b64encode(vector.tobytes()).decode()})
        if len({len(vector) for vector in found.values()}) > 1:
            raise ModelError(f"{self.url} answers with vectors of several lengths; its model may have changed.")
        return unit(np.array([found[text] for text in written], np.float32))

    def _asked(self, client: Client, texts: Sequence[str]) -> list[Any]:
        """The vectors of one request."""
        # most servers refuse an empty text, and a space says as little
        reply = client.post("/embeddings", {"model": self.model, "input": [text or " " for text in texts]})
        try:
            data = sorted(reply["data"], key=lambda item: item.get("index", 0))
            vectors = [_numbers(item["embedding"]) for item in data]
            if len(vectors) != len(texts) or any(vector.ndim != 1 or not len(vector) for vector in vectors):
                raise ValueError
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ModelError(
                f"{self.url}/embeddings does not answer with one vector for each text; check that its model "
                f"{self.model!r} makes embeddings."
            ) from None
        return vectors

    def _client(self) -> Client:
        url = checked(self.url)
        key = Key.find(url, None, self.key_variable)
        return Client(url, key, concurrency=self.concurrency, timeout=self.timeout, retries=self.retries)


def _numbers(vector: Any) -> Any:
    """A vector, of numbers or of their bytes in base64."""
    if isinstance(vector, str):
        return np.frombuffer(base64.b64decode(vector), np.float32)
    return np.array(vector, np.float32)
