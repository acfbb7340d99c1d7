"""What a client of a model counts while it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """What was asked so far."""

    calls: int = 0  # requests that were answered
    retries: int = 0
    hits: int = 0  # answers that came from the cache
    prompt_tokens: int = 0
    completion_tokens: int = 0
