"""`espalier index` as it is typed."""

from pathlib import Path

import pytest

from espalier.cli import indexing, main


@pytest.fixture(autouse=True)
def docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tea.md").write_text("# Tea\n\nGreen tea.", encoding="utf-8")
    (tmp_path / "docs" / "서울.txt").write_bytes("서울은 대한민국의 수도이다.".encode("cp949"))
    (tmp_path / "docs" / "empty.txt").touch()
    return tmp_path / "docs"


def test_what_was_read_is_said_line_by_line(capsys):
    assert main(["index", "docs", "--out", "kb"]) == 0
    said = capsys.readouterr().out.splitlines()
    labels = {line[:12].strip(): line[12:] for line in said if line[:12].strip()}
    assert labels["documents"] == "2 added, 1 failed"
    assert labels["failed"] == "empty.txt is empty."
    assert labels["note"].startswith("서울.txt: read as cp949")
    assert labels["passages"] == "2 of at most 700 characters"
    assert labels["search"] == "bm25"
    assert labels["index"].startswith("kb, ") and labels["index"].endswith(" s")
    assert labels["next"] == "espalier ask kb 'Your question?'"


def test_the_second_run_says_what_changed(docs, capsys):
    assert main(["index", "docs", "--out", "kb"]) == 0
    (docs / "tea.md").unlink()
    assert main(["index", "docs", "--out", "kb", "--size", "20"]) == 0
    said = capsys.readouterr().out
    assert "documents   1 changed, 1 removed, 1 failed\n" in said
    assert "1 of the changed only cut again, in the new manner" in said


def test_many_failures_are_shortened(docs, capsys):
    for number in range(indexing.SHOWN + 4):
        (docs / f"x{number:02}.txt").touch()
    assert main(["index", "docs", "--out", "kb"]) == 0
    said = capsys.readouterr().out
    assert "x08.txt is empty." in said and "x09.txt" not in said and "and 5 more" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["docs"], "where shall the index go? Name one file outside of docs: espalier index docs --out docs.kb"),
        (["docs", "--out", "docs/kb"], "would lie inside docs"),
        (["docs", "--out", "docs"], "would lie inside docs"),
        (["nowhere", "--out", "kb"], "there is no file or folder 'nowhere'"),
        (["docs", "--out", "kb", "--b", "2"], "b between 0 and 1"),
        (["docs", "--out", "kb", "--size", "0"], "--size"),
        (["docs", "--out", "docs/tea.md"], "would lie inside docs"),
        (["docs/tea.md", "--out", "docs/서울.txt"], "is not an index of Espalier"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, capsys, tmp_path):
    assert main(["index", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "kb").exists()


def test_ctrl_c_says_that_the_same_command_goes_on(monkeypatch, capsys):
    def stop(*given, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(indexing, "make", stop)
    assert main(["index", "docs", "--out", "kb"]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_what_the_index_keeps_is_said(capsys):
    indexing.index(Path("docs"), Path("kb"), retrievers=["tf_idf"], chunker="sentence", overlap=5, size=50)
    said = capsys.readouterr().out
    assert "search      bm25, tf_idf\n" in said and "of at most 50 characters\n" in said
    indexing.index(Path("docs"), Path("kb"))
    assert "search      bm25, tf_idf\n" in capsys.readouterr().out
