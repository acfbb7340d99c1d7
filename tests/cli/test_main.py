"""`espalier`: what it prints and how it exits, whatever goes wrong."""

import errno
import os
import subprocess
import sys

import pytest

from espalier import __version__
from espalier.cli import main, methods
from espalier.errors import RecipeError

VERBS = (
    "check", "train", "run", "compare", "curate", "evaluate", "chat", "export", "estimate", "index", "ask", "report",
    "methods", "show", "doctor",
)  # fmt: skip


def test_help_names_every_verb(capsys):
    assert main([]) == 0 and main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {verb} " in printed for verb in VERBS) and "..." not in printed.rpartition("Commands:")[2]
    assert main(["--version"]) == 0 and capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Usage: espalier {verb}") and "tree" not in printed


def test_help_and_methods_import_nothing_heavy():
    heavy = {"torch", "transformers", "peft", "datasets", "numpy", "httpx"}
    code = "import sys; from espalier.cli import main; main(['methods']); main(['show', 'dpo']); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = printed.splitlines()[-1].split()
    assert "typer" in loaded and not heavy & set(loaded)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("shw", "No such command 'shw'. Did you mean 'show'? See `espalier --help`."),
        ("show", "Missing argument 'METHOD'. See `espalier show --help`."),
        ("show dop", "no method named 'dop'. Did you mean 'dpo'?"),
        ("report --fast x", "No such option: --fast. See `espalier report --help`."),
        ("report nowhere", "nowhere: no run here"),
        ("chat ./nowhere", "./nowhere: no such folder."),
        ("train sft --epochs many", "Invalid value for '--epochs'"),
        ("train sft --lr 1", "Did you mean 'learning_rate'?"),
        ("train", "no model given"),
        ("train sft --model m --data d", "no output folder given"),
        ("train sft --model m --data d --columns prompt", "columns 'prompt' cannot be read"),
        ("train --resume --out nowhere", "no run to go on with in 'nowhere'"),
        ("check --model ./nowhere --data nowhere.jsonl", "nowhere.jsonl"),
        ("evaluate ./nowhere --data nowhere.jsonl", "nowhere.jsonl"),
    ],
)
def test_what_the_user_can_cause_is_one_line(line, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1
    assert sentence in told.err
    assert not list(tmp_path.iterdir())


def failing(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(methods, "print_methods", fail)
    return main(["methods"])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RecipeError("no."), "error: no.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "r/x"), "error: the disk is full (r/x). Free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "error: the disk is full. Free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "error: the disk is full."),
        (PermissionError(errno.EACCES, "Permission denied", "/r"), "error: /r: not allowed."),
    ],
)
def test_the_machines_errors_are_sentences_too(error, sentence, monkeypatch, capsys):
    assert failing(monkeypatch, error) == 2
    assert capsys.readouterr().err.startswith(sentence)


def test_ctrl_c_is_quiet(monkeypatch, capsys):
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.strip() == "stopped"


def test_a_bug_is_a_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        failing(monkeypatch, ZeroDivisionError())


def test_a_closed_pipe_is_quiet():
    command = [sys.executable, "-m", "espalier.cli", "methods"]
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (process.stderr, process.returncode) == (b"", 1)
