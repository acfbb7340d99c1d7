"""Where what can be computed again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of tokenized rows, reference log-probabilities and answers: ESPALIER_CACHE, or the user's own."""
    return Path(os.environ.get("ESPALIER_CACHE") or Path.home() / ".cache" / "espalier")
