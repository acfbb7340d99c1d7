"""Work in a process of its own, with the sentence it ends with."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from espalier.errors import EspalierError
from espalier.stages.process import STOPPED, Ended, forked

NO_MEMORY = ("out of memory", "can't allocate memory")  # as torch says it of a GPU, and of a CPU
MEMORY = "there was not enough memory. Lower tokens_per_piece or max_tokens, or train an adapter"


def write(file: Any, text: str) -> int:
    """Write something to a file that a process shares with the one that forked it."""
    file.write(text)
    file.flush()
    return 0


def apart(work: Callable[[], int]) -> tuple[Ended, str]:
    """Run something in a forked process; how it ended, and the sentence that says what went wrong."""
    with tempfile.TemporaryFile("w+") as said:

        def watched() -> int:
            try:
                return work()
            except EspalierError as error:
                write(said, str(error))
            except Exception as error:
                if isinstance(error, MemoryError) or any(sign in str(error) for sign in NO_MEMORY):
                    write(said, MEMORY)
                else:
                    traceback.print_exc()
                    write(said, f"{type(error).__name__}: {error} (a mistake of espalier's; the traceback is above)")
            return 2

        ended = forked(watched)
        said.seek(0)
        return ended, said.read() or _ending(ended.code)


def _ending(code: int) -> str:
    """How a process ended that could not say it itself."""
    if code in (0, STOPPED):
        return ""
    if code > 128:
        killer = next((known.name for known in signal.Signals if known.value == code - 128), str(code - 128))
        return f"it was killed by {killer}" + (", perhaps for want of memory" if killer == "SIGKILL" else "")
    return f"it ended with exit code {code}"
