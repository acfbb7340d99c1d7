"""Many answers written together are those that each would be alone."""

import threading

import pytest

from espalier.errors import ModelError, RowError, RunError
from espalier.lm.generate import Sampling
from espalier.serve.served import Shared
from espalier.serve.writer import GoneError, Writer

PROMPTS = ["a", "tell me of trees and frames, slowly", "one two three", "x" * 90, "b", "of odd numbers"]


def read(writer, writing, ready):
    found = []
    while not found or not found[-1].finish:
        assert ready.wait(20)
        ready.clear()
        piece = writing.take()
        writer.read(writing)
        found += [piece] if piece else []
    return "".join(piece.text for piece in found), [token for piece in found for token in piece.ids], found[-1].finish


def write(writer, prompt, sampling, **more):
    ready = threading.Event()
    return writer.write(writer.lm.renderer.prompt(prompt), sampling, ready.set, **more), ready


def test_equals_local_whatever_is_written_beside(writer, lm):
    samplings = [
        Sampling(t, p, m, 3) for t, p, m in [(0, 1, 12), (1, 1, 30), (1, 0.5, 7), (0.7, 1, 20), (2, 1, 1), (1, 1, 9)]
    ]
    under_way = [write(writer, *both) for both in zip(PROMPTS, samplings, strict=True)]  # more than are written at once
    for (writing, ready), prompt, sampling in zip(under_way, PROMPTS, samplings, strict=True):
        options = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
        [[wanted]] = lm.sample([prompt], seed=3, **options)
        text, ids, finish = read(writer, writing, ready)
        assert (text, ids) == (wanted.text, list(wanted.ids)) and finish == ("stop" if wanted.ended else "length")
        assert writing.logps == pytest.approx(wanted.logps, abs=1e-4)  # sums in another order


def test_a_reader_that_does_not_keep_up_waits_and_loses_nothing(writer, lm, monkeypatch):
    monkeypatch.setattr("espalier.serve.writer.UNREAD", 4)
    long, ready = write(writer, "a", Sampling(1.0, 1.0, 12, 5))
    [[wanted]] = lm.sample(["a"], max_tokens=12, seed=5)
    assert len(wanted.ids) > 4
    for _ in range(200):
        if writer.load == (0, 1):
            break
        threading.Event().wait(0.02)
    assert writer.load == (0, 1) and len(long.pieces) == 4  # taken out, and no token is computed
    assert read(writer, long, ready)[0] == wanted.text


def test_who_has_gone_is_forgotten_and_the_others_go_on(writer):
    left, _ = write(writer, "a", Sampling(1.0, 1.0, 400, 1))
    stays, ready = write(writer, "b", Sampling(1.0, 1.0, 20, 1))
    writer.leave(left)
    read(writer, stays, ready)
    assert len(left.logps) < 100 and writer.load == (0, 0)


def test_a_stop_text_ends_the_answer(writer, lm):
    [[whole]] = lm.sample(["b"], max_tokens=20, seed=1)
    stop = whole.text[3:5]
    text, _, finish = read(writer, *write(writer, "b", Sampling(1.0, 1.0, 20, 1), stops=[stop]))
    assert text == whole.text[: whole.text.index(stop)] and finish == "stop"


def test_what_goes_wrong_is_told_to_those_it_concerns_and_the_next_are_served(writer, monkeypatch):
    def broken(*_):
        raise ModelError("not finite")

    monkeypatch.setattr(writer._running, "pick", broken)
    writing, ready = write(writer, "a", Sampling(0.0, 1.0, 5, 0))
    with pytest.raises(ModelError, match="not finite"):
        read(writer, writing, ready)
    monkeypatch.undo()
    assert read(writer, *write(writer, "a", Sampling(0.0, 1.0, 5, 0)))[2]


def test_too_long_a_prompt_and_too_long_a_queue_are_refused(lm):
    writer = Writer(lm, waiting=0)
    with pytest.raises(RowError, match="no room is left"):
        write(writer, "a " * 600, Sampling(0.0, 1.0, 5, 0))
    with pytest.raises(RunError, match="waiting already"):
        write(writer, "a", Sampling(0.0, 1.0, 5, 0))
    writer.close()
    with pytest.raises(RunError, match="shutting down"):
        write(writer, "a", Sampling(0.0, 1.0, 5, 0))


def test_the_end_is_told_to_who_waits(lm):
    writer = Writer(lm)
    writing, ready = write(writer, "a", Sampling(1.0, 1.0, 500, 0))
    writer.close()
    with pytest.raises(RunError, match="shutting down"):
        while True:
            assert ready.wait(5)
            ready.clear()
            writing.take()


def test_a_strategy_asks_as_it_would_ask_the_model(writer, lm):
    shared = Shared(writer)
    assert shared.complete("tell", max_tokens=9) == lm.complete("tell", max_tokens=9)
    assert shared.complete("tell", n=3, temperature=1.0, max_tokens=9)[0] == "".join(
        shared.stream("tell", temperature=1.0, max_tokens=9)
    )
    begun = [{"role": "user", "content": "tell"}, {"role": "assistant", "content": "One two"}]
    assert shared.complete(begun, max_tokens=5) == lm.complete(begun, max_tokens=5)
    assert shared.logprobs("tell", ["a", "b"]) == pytest.approx(lm.logprobs("tell", ["a", "b"]), abs=1e-5)
    assert shared.context == 512 and shared.sample(["tell"], max_tokens=3) == lm.sample(["tell"], max_tokens=3)
    with pytest.raises(RowError):
        shared.logprobs("a " * 600, ["a"])


def test_a_strategy_nobody_waits_for_ends(writer):
    with pytest.raises(GoneError):
        Shared(writer, lambda: False).complete("tell", max_tokens=400)
