"""A full disk, said in one sentence wherever it shows: in a file, in safetensors, in SQLite."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from espalier.errors import RunError

SIGNS = ("No space left on device", "database or disk is full", "Disk quota exceeded")


@contextlib.contextmanager
def full_disk(where: Path, remedy: str) -> Iterator[None]:
    """Turn what a full disk raises while something is written into one sentence.

    Args:
        where: what is being written.
        remedy: what to do beside freeing space.

    Raises:
        RunError: the disk is full; anything else goes its way.
    """
    try:
        yield
    except Exception as error:  # safetensors, tokenizers and SQLite each raise their own
        if not is_full(error):
            raise
        raise RunError(f"the disk is full: {where} cannot be written. {remedy}") from error


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room left."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(sign in str(error) for sign in SIGNS)
