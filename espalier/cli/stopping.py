"""Ctrl-C while training: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

MESSAGE = b"\nfinishing this step and saving; Ctrl-C again stops at once\n"


@contextlib.contextmanager
def stops_in_order(began: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Take Ctrl-C as a request, once and only while there is something to save.

    Args:
        began: whether training is under way; before and after it Ctrl-C ends the program as usual.

    Yields:
        Whether the user has asked to stop.
    """
    asked = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if asked.is_set() or not began():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, MESSAGE)  # not print: the signal may have come in the middle of one

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
