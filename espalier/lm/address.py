"""Where a server is, and the key it asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from espalier.errors import RecipeError


@dataclass(frozen=True)
class Key:
    """An API key, which no text ever shows, and where it is looked for."""

    value: str
    place: str

    @classmethod
    def find(cls, url: str, given: str | None, variable: str | None) -> Key:
        """The key that was given, or that of an environment variable.

        OPENAI_API_KEY is read unasked for OpenAI's own address alone: no other server is sent that key by accident.
        """
        if variable is None and urlsplit(url).hostname == "api.openai.com":
            variable = "OPENAI_API_KEY"
        if given is not None:
            found = cls(given.strip(), "api_key")
        elif variable is None:
            return cls("", "api_key, or name an environment variable in key_variable")
        else:
            found = cls(os.environ.get(variable, "").strip(), f"the environment variable {variable}")
            if not found.value:
                raise RecipeError(f"{found.place} is not set; put the API key for {url} there.")
        if not (found.value.isascii() and found.value.isprintable()):
            raise RecipeError(f"the API key in {found.place} has characters that no key has; copy it again.")
        return found

    def __repr__(self) -> str:
        return f"Key({self.place})"


def checked(url: str) -> str:
    """An address without its last slash.

    Raises:
        RecipeError: it is no address, or holds what belongs elsewhere.
    """
    try:
        parts = urlsplit(str(httpx.URL(url.strip())))
        known = parts.scheme in ("http", "https") and parts.hostname
    except (httpx.InvalidURL, ValueError):
        known = None
    if not known:
        raise RecipeError(f"{url!r} is no address of a server; write one such as http://localhost:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise RecipeError(
            f"the address of {parts.hostname} holds a name, a key or a query; write only the place, such as "
            "http://localhost:8000/v1, and give the key in api_key."
        )
    return url.strip().rstrip("/")
