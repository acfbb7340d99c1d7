"""`espalier export`, as typed; what it makes is tested in tests/export."""

import sys
from pathlib import Path

import pytest

from espalier.cli import main
from espalier.cli.training import next_commands
from espalier.errors import ModelError
from espalier.export import export as exporting
from espalier.export import hub
from espalier.export.conversations import Agreement
from espalier.export.export import Exported
from espalier.run import Run
from tests.evaluation.runs import write_run


@pytest.fixture
def acted(tmp_path, monkeypatch):
    """Exports that are acted: a folder with one file; what was asked for is kept."""
    monkeypatch.chdir(tmp_path)
    asked = []

    def export(request, tell):
        request.check()
        asked.append(request)
        tell("reading m in float32")
        folder = request.out or Path("m-hf")
        folder.mkdir()
        (folder / "model.safetensors").write_text("x")
        return Exported(
            folder, [("model.safetensors", 14_200_000)], Agreement(3, 120, 2e-7, 1e-6), ["vllm serve m-hf"], ["Note."]
        )

    monkeypatch.setattr(exporting, "export", export)
    return asked


@pytest.fixture
def uploaded(monkeypatch):
    """Uploads that are acted: what went there."""
    found = []

    def upload(folder, name, *, public):
        found.append((name, public, sorted(path.name for path in Path(folder).iterdir())))
        return f"https://hub/{name}"

    monkeypatch.setattr(hub, "upload", upload)
    monkeypatch.setattr(hub, "reachable", lambda: None)
    return found


def test_it_says_what_was_made_checked_and_what_to_type(acted, capsys):
    assert main(["export", "m", "--to", "hf", "--dtype", "bfloat16"]) == 0
    printed = capsys.readouterr().out
    assert acted[0].dtype == "bfloat16" and acted[0].to == "hf" and acted[0].out is None
    assert "reading m in float32 ..." in printed and "model.safetensors  14.2 MB" in printed
    assert "the token ids of 3 conversations are the same (120 tokens)" in " ".join(printed.split())
    assert "use         vllm serve m-hf" in printed and "note        Note." in printed


def test_type_out_and_raw_arrive(acted):
    assert main(["export", "m", "--to", "ollama", "--type", "Q8_0", "--out", "o", "--raw"]) == 0
    assert (acted[0].kind, acted[0].out, acted[0].raw) == ("Q8_0", Path("o"), True)


@pytest.mark.parametrize(("answer", "sent"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_an_upload_is_shown_and_asked_for(answer, sent, acted, uploaded, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda text: print(text) or answer == "y\n")
    assert main(["export", "m", "--to", "hub:me/mine"]) == 0
    printed = capsys.readouterr().out
    assert "model.safetensors" in printed and "Upload these 1 files to me/mine (private)?" in printed
    assert uploaded == ([("me/mine", False, ["model.safetensors"])] if sent else [])
    assert ("uploaded    https://hub/me/mine" in printed) == sent and ("nothing was uploaded" in printed) != sent
    assert not list(tmp_path.iterdir()) and not acted[0].out.exists(), "files are left behind"


def test_an_upload_without_asking_keeps_the_folder_it_was_given(acted, uploaded, tmp_path):
    assert main(["export", "m", "--to", "hub:me/mine", "--yes", "--public", "--out", "here"]) == 0
    assert uploaded == [("me/mine", True, ["model.safetensors"])] and (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "hub:me/mine"], "nobody can be asked here whether to upload"),
        (["--to", "hub:mine", "--yes"], "names no repository"),
        (["--to", "hf", "--public"], "--public and --yes are for an upload"),
        (["--to", "onnx"], "no target named 'onnx'"),
        ([], "Missing option '--to'"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, said, acted, uploaded, capsys):
    assert main(["export", "m", *words]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and said in told.err and told.err.count("\n") == 1
    assert acted == [] and uploaded == []


def test_what_does_not_agree_is_exit_code_2_and_ctrl_c_130(monkeypatch, capsys):
    def fails(error):
        def export(request, tell):
            raise error

        monkeypatch.setattr(exporting, "export", export)

    fails(ModelError("the export does not agree with the run."))
    assert main(["export", "m", "--to", "hf"]) == 2
    assert "error: the export does not agree" in capsys.readouterr().err
    fails(KeyboardInterrupt())
    assert main(["export", "m", "--to", "hf"]) == 130


def test_a_run_that_has_ended_says_how_to_hand_it_over(tmp_path):
    said = [line for _, line in next_commands(Run(write_run(tmp_path / "r")))]
    assert f"espalier export {tmp_path / 'r'} --to ollama" in said


def test_help_imports_nothing_heavy_and_names_the_targets(capsys):
    assert main(["export", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "hub:ORG/NAME" in printed and "RUN" in printed
