"""The audit on the terminal and in a pipe."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from espalier import console
from tests.evaluation.runs import audit


def screen(color=False, width=100):
    return Console(
        file=io.StringIO(), width=width, force_terminal=color, color_system="standard" if color else None,
        markup=False, highlight=False, _environ={},
    )  # fmt: skip


def printed(out):
    return out.file.getvalue()


def test_the_audit_says_what_was_read_dropped_and_trained():
    out = screen()
    console.print_audit(out, audit())
    text = printed(out)
    assert "1,200 read, 1,050 to train on, 50 held back" in text
    assert "100 (8.3 %)  too long" in text and "pairs.jsonl, row 17" in text
    assert "row 118 / 402 / 511" in text and "prompts shared 1.42x" in text
    assert "Hi?[[Hello.</s>]]" in text
    assert text.rstrip().endswith("warning: 100 of 1200 rows are dropped")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_with_color_the_trained_tokens_are_green():
    out = screen(color=True)
    console.print_audit(out, audit())
    assert "\x1b[1;32mHello.</s>" in printed(out) and "[[" not in printed(out).replace("\x1b[", "")


def test_an_empty_audit_prints():
    out = screen()
    console.print_audit(
        out, audit(dropped={}, where={}, lengths={}, languages={}, shown=[], warnings=[], read=0, kept=0)
    )
    assert "at most 512" in printed(out) and "one row" not in printed(out)


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "\u202eevil", "a\rb", "\x9b31m", "\x00"])
def test_a_row_cannot_steer_the_terminal(text):
    shown = console.visible(text)
    assert not set(shown) & set("\x1b\x07\u202e\r\x9b\x00") and "\ufffd" in shown
    out = screen()
    console.print_audit(out, audit(shown=[(text, True)], detected=[text], warnings=[text], where={"too long": [text]}))
    assert not set(printed(out)) & set("\x1b\x07\u202e\r\x9b\x00")


def test_ordinary_text_is_left_alone():
    assert console.visible("빨간 와인\n\t[bold]x[/bold]\r\n") == "빨간 와인\n    [bold]x[/bold]\n"


def test_markup_in_a_row_is_text(capsys):
    console.make().print("[bold]x[/bold] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] :smile:\n"


def test_long_stretches_are_shortened():
    text = console.stretches([("a" * 2000 + "b" * 2000, True)], color=False).plain
    assert len(text) < 700 and text.startswith("[[aaa") and text.endswith("bbb]]") and " [...] " in text


def test_facts_wrap_under_themselves():
    out = screen(width=40)
    console.facts(out, [("data", "word " * 12), ("data", "again")])
    lines = printed(out).splitlines()
    assert lines[0].startswith("data        word") and lines[1].startswith(" " * 12 + "word")
    assert lines[-1] == " " * 12 + "again"


def test_tables_stand_in_columns_by_the_width_of_their_letters():
    out = screen()
    console.table(out, [["한글", "1", "x"], [Text("ab"), "10", ""]], right={1})
    assert printed(out).splitlines() == ["한글   1  x", "ab    10"]


def test_tables_do_not_wrap_in_a_pipe_and_do_on_a_terminal():
    for color, lines in ((False, 1), (True, 3)):
        out = screen(color=color, width=40)
        console.table(out, [["name", "word " * 20]])
        assert len(printed(out).splitlines()) >= lines and (color or len(printed(out).splitlines()) == 1)


def test_the_estimate_is_one_line():
    out = screen(width=200)
    values = {"seconds": 200, "memory_gb": 1.234, "steps": 70, "tokens": 280_000, "trained": 10, "parameters": 100}
    console.print_estimate(out, values)
    assert printed(out).split(maxsplit=1)[1] == (
        "about 3 min 20 s, 1.23 GB of memory, 70 steps, 280,000 tokens, 10 of 100 parameters are trained\n"
    )


def test_a_printed_command_can_be_typed():
    assert console.command("chat", "my run", "--against", "base") == "espalier chat 'my run' --against base"
