"""A process of its own for a stage: how it ends, how it is stopped, and that it does not outlive its parent."""

import os
import signal
import subprocess
import sys

import pytest

PRELUDE = """
import os, signal, sys, time
from espalier.stages.process import forked
print("begun", flush=True)

def sleeps():
    try:
        print("asleep", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("woken", flush=True)
        raise

def stops_in_order():
    asked = []
    signal.signal(signal.SIGINT, lambda *_: asked.append(1))
    print("asleep", flush=True)
    while not asked:
        time.sleep(0.01)
    return 0
"""

EARLY = """
fork = os.fork

def interrupted():
    pid = fork()
    if pid:
        os.kill(os.getpid(), signal.SIGINT)
    return pid

os.fork = interrupted
print(*forked(sleeps), flush=True)
"""


def program(work):
    code = f"{PRELUDE}\nended = forked({work})\nprint(*ended, flush=True)"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def asleep(process):
    """Wait for the forked process to sleep."""
    assert process.stdout.readline() == "begun\n" and process.stdout.readline() == "asleep\n"


@pytest.mark.parametrize(
    ("work", "ended"),
    [
        ("lambda: 0", "0 False"),
        ("lambda: 2", "2 False"),
        ("lambda: os.kill(os.getpid(), signal.SIGKILL)", "137 False"),
        ("lambda: 1 / 0", "1 False"),
        ("lambda: int(sys.stdin.read() != '')", "0 False"),
    ],
)
def test_the_exit_code_comes_back(work, ended):
    printed, told = program(work).communicate(timeout=120)
    assert printed == f"begun\n{ended}\n" and ("ZeroDivisionError" in told) == ("1 / 0" in work)


@pytest.mark.parametrize(("work", "last"), [("sleeps", "woken\n130 True\n"), ("stops_in_order", "0 True\n")])
def test_ctrl_c_is_passed_on(work, last):
    process = program(work)
    asleep(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.communicate(timeout=120)[0] == last and process.returncode == 0


def test_ctrl_c_that_comes_with_the_fork_is_not_lost():
    found = subprocess.run(
        [sys.executable, "-c", PRELUDE + EARLY], capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout.splitlines()[-1] == "130 True"


def test_it_is_told_to_stop_when_its_parent_is_killed():
    process = program("sleeps")
    asleep(process)
    process.kill()
    assert process.communicate(timeout=120)[0] == "woken\n"  # which waits for the child's end: it holds the pipe
