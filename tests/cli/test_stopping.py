"""Ctrl-C while training."""

import os
import signal
import threading

import pytest

from espalier.cli.stopping import stops_in_order


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_asks_and_the_second_stops(capfd):
    with stops_in_order(lambda: True) as asked:
        assert not asked()
        interrupt()
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert "finishing this step and saving" in capfd.readouterr().err


def test_before_training_the_first_stops():
    with stops_in_order(lambda: False) as asked:
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert not asked()


def test_afterwards_everything_is_as_before():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="mine"), stops_in_order(lambda: True):
        assert signal.getsignal(signal.SIGINT) is not before
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_taken():
    found = []

    def work():
        with stops_in_order(lambda: True) as asked:
            found.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
