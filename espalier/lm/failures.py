"""What a server's failure means: whether it may pass, how long to wait, and what the server says of it."""

from __future__ import annotations

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from espalier.errors import ModelError

TRANSIENT = (429, 500, 502, 503, 504)
HINT = "check the address, which usually ends in /v1."
_SHOWN = 300  # characters of what a server says


class RefusedError(ModelError):
    """The server understood the request and does not accept what it asks for."""


class TransientError(Exception):
    """What may pass: a sentence, and how long the server asks to wait."""

    def __init__(self, sentence: str, wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a Retry-After header of seconds or of a date; None where it says nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if math.isfinite(seconds) else None


def message_of(answer: Any) -> str:
    """The message in an answer that tells of a failure, in any of the usual shapes; empty if there is none."""
    for name in ("error", "detail", "message"):
        if isinstance(answer, Mapping) and answer.get(name):
            answer = answer[name]
    return answer if isinstance(answer, str) else ""


def colon(said: str) -> str:
    """What somebody said, on one line, to be put after a word."""
    line = " ".join("".join(c if c.isprintable() else " " for c in said).split())
    return f": {line[:_SHOWN].rstrip('.')}" if line else ""
