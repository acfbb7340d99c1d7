"""A stage in a process of its own, forked from this one so that what it imports is imported once.

Threads, seeds, caches and memory of one stage cannot reach the next: a stage does what its command does when typed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

STOPPED = 130  # what a shell says of a program ended by Ctrl-C


class Ended(NamedTuple):
    """How a process ended: its exit code, 128 + N if signal N killed it, and whether Ctrl-C was pressed meanwhile."""

    code: int
    asked: bool


def preload(modules: Sequence[str]) -> None:
    """Import what stages will need; elsewhere than on Linux libraries may not survive the fork that follows."""
    if sys.platform == "linux":
        for module in modules:
            with contextlib.suppress(ImportError):  # the stage that needs it tells
                importlib.import_module(module)


def forked(work: Callable[[], int]) -> Ended:
    """Run something in a forked process and wait for it.

    Ctrl-C is passed on to it, each time; and if this process is killed, the other is told to stop as by Ctrl-C.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    alive, held = os.pipe()  # the read end of the child ends when the last write end, which is ours, is closed
    asked = False
    before = signal.getsignal(signal.SIGINT)
    pid = os.fork()
    if pid == 0:
        os.close(held)
        _child(work, alive)

    def forward(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    os.close(alive)
    signal.signal(signal.SIGINT, forward)
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(held)
    return Ended(128 - code if code < 0 else code, asked)


def _child(work: Callable[[], int], alive: int) -> None:
    """The forked process from its first to its last act."""
    code = 1
    try:
        os.setpgid(0, 0)  # the terminal's Ctrl-C comes through the parent, and once
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # and writing to the terminal is allowed
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        threading.Thread(target=_stop_with, args=(alive,), daemon=True).start()
        code = work()
    except KeyboardInterrupt:
        code = STOPPED
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _stop_with(alive: int) -> None:
    """Stop this process in order once the one at the other end is gone."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGINT)
