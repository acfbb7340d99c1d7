"""Embeddings as OpenAI's protocol has them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from espalier.contracts import Embedder
from espalier.serve.requests import RequestError, texts_of


class Vectors:
    """An embedder as it is served, one request after the other.

    Args:
        embedder: makes texts vectors.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.name = embedder, embedder.name
        self._turn = asyncio.Lock()

    async def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The vectors of the texts in a request.

        Raises:
            RequestError: something that cannot be.
        """
        texts, form = texts_of(body), body.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise RequestError("'encoding_format' is float or base64.")
        if (kind := body.get("input_type") or "passage") not in ("passage", "document", "query"):
            raise RequestError("'input_type' is query, or passage for what queries are to find.")
        async with self._turn:
            found = await asyncio.to_thread(self.embedder.embed, texts, query=kind == "query")
        if (wanted := body.get("dimensions")) not in (None, found.shape[1]):
            raise RequestError(f"{self.name} gives vectors of {found.shape[1]} numbers, not {wanted}.")
        rows = found.astype("<f4")
        data = [
            {
                "object": "embedding",
                "index": at,
                "embedding": _coded(row.tobytes()) if form == "base64" else row.tolist(),
            }
            for at, row in enumerate(rows)
        ]
        counted = {"prompt_tokens": 0, "total_tokens": 0}  # an embedder does not say
        return {"object": "list", "data": data, "model": self.name, "usage": counted}


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
