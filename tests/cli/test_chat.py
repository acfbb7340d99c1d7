"""Talking to models."""

import io

import pytest
from rich.console import Console

from espalier.cli.chat import HELP, Chat, Side, _joined, typed
from espalier.errors import RowError


class Model:
    """Answers with what it is told to, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, prompt):
        self.asked.append(prompt)
        yield from self.answers.pop(0)


def chat(*lines, sides, **options):
    out = Console(file=io.StringIO(), width=80, markup=False, highlight=False)
    Chat(sides, out, **options).run(iter(lines))
    return out.file.getvalue()


def test_an_answer_streams_and_is_remembered():
    model = Model([" He", "llo", ".\n"], ["Fine."])
    said = chat("Hi", "How are you?", "/quit", "never", sides=[Side("a", model)], system="Be kind.")
    assert said == "Hello.\n\nFine.\n"
    system, hi = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}
    hello, how = {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "How are you?"}
    assert model.asked == [[system, hi], [system, hi, hello, how]]


def test_reset_forgets_and_help_helps():
    model = Model(["One."], ["Two."])
    said = chat("a", "/reset", "/what", "", "b", sides=[Side("a", model)])
    assert model.asked[1] == [{"role": "user", "content": "b"}]
    assert "forgotten" in said and " ".join(HELP.split()) in " ".join(said.split())


def test_two_models_each_remember_their_own_answers():
    tuned, base = Model(["T1"], ["T2"]), Model(["B1"], ["B2"])
    said = chat("a", "b", sides=[Side("run", tuned), Side("base", base)])
    assert said == "run:\nT1\nbase:\nB1\nrun:\nT2\nbase:\nB2\n"
    assert tuned.asked[1][1]["content"] == "T1" and base.asked[1][1]["content"] == "B1"


def test_plain_prompts_are_given_as_they_are():
    model = Model(["x"], ["y"])
    chat("Once upon", "a time", sides=[Side("a", model, text=True)])
    assert model.asked == ["Once upon", "a time"]


def test_an_empty_answer_is_not_remembered():
    model = Model([], ["x"])
    assert chat("a", "b", sides=[Side("a", model)]) == "\nx\n"
    assert model.asked[1] == [{"role": "user", "content": "b"}]


def test_ctrl_c_stops_the_answer_and_not_the_chat():
    def interrupted(prompt):
        yield "Once"
        if len(prompt) == 1:
            raise KeyboardInterrupt

    assert chat("a", "b", sides=[Side("a", interrupted)]) == "Once (stopped)\nOnce\n"


def test_a_conversation_that_is_too_long_does_not_end_the_chat():
    def full(prompt):
        yield from ["ok"] if len(prompt) == 1 else []
        if len(prompt) > 1:
            raise RowError("the prompt is too long.")

    said = chat("a", "b", "/reset", "c", sides=[Side("a", full)])
    assert said == "ok\nthe prompt is too long. /reset forgets the conversation.\nforgotten\nok\n"


def test_an_answer_cannot_steer_the_terminal():
    assert "\x1b" not in chat("a", sides=[Side("a", Model(["\x1b[2J"]))])


@pytest.mark.parametrize(
    ("lines", "joined"), [(["a", "b"], ["a", "b"]), (["a\\", "b", "c"], ["a\nb", "c"]), (["a\\"], ["a"]), ([], [])]
)
def test_a_backslash_goes_on(lines, joined):
    assert list(_joined(iter(lines))) == joined


def test_lines_come_from_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\\\nthree"))
    assert list(typed()) == ["one", "two\nthree"]
