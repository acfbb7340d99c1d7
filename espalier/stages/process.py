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
from collections.abc import Callable, Iterable, Sequence
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
    asked, waiting, pid = False, False, 0

    def forward(number: int, frame: Any) -> None:
        nonlocal asked, waiting
        asked = True
        waiting = not pid  # until it is known to whom
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    before = signal.signal(signal.SIGINT, forward)  # before there is a child that Ctrl-C could miss
    try:
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # or the child loses one that comes early
        pid = os.fork()
        if pid == 0:
            os.close(held)
            _child(work, alive, masked)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.close(alive)
        if waiting:
            os.kill(pid, signal.SIGINT)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(held)
    return Ended(128 - code if code < 0 else code, asked)


def _child(work: Callable[[], int], alive: int, masked: Iterable[int]) -> None:
    """The forked process from its first to its last act; from where it can hear Ctrl-C on, only `masked` are not."""
    code = 1
    try:
        os.setpgid(0, 0)  # the terminal's Ctrl-C comes through the parent, and once
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # and writing to the terminal is allowed
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
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
