"""Folders of BEIR, in and out."""

import json

import pytest

from espalier.errors import RowError
from espalier.formats.beir import is_beir, read_beir, read_corpus, write_beir

CORPUS = [("d 1", "Title", "text"), ("d2", "", "\uac00")]
QUERIES = {"q1": "one", "q2": "two"}
QRELS = {"q1": {"d 1": 2.0}, "q2": {"d2": 1.0, "d3": 0.0}}


def test_property_a_folder_comes_back_as_it_was_written(tmp_path):
    folder = tmp_path / "made"
    write_beir(folder, CORPUS[1:], QUERIES, {"q2": QRELS["q2"]}, split="dev")
    assert is_beir(folder) and not is_beir(tmp_path)
    found = read_beir(folder)
    assert (found.queries, found.qrels, found.split) == ({"q2": "two"}, {"q2": QRELS["q2"]}, "dev")
    assert list(read_corpus(folder)) == CORPUS[1:]
    with pytest.raises(RowError, match="is there already"):
        write_beir(folder, CORPUS, QUERIES, QRELS)
    with pytest.raises(RowError, match="has no judgments named test in qrels/; it has: dev"):
        read_beir(folder, "test")


def test_a_folder_that_cannot_be_written_whole_is_not_written(tmp_path):
    def broken():
        yield CORPUS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_beir(tmp_path / "made", broken(), QUERIES, QRELS)
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(RowError, match=r"has no queries\.jsonl"):
        read_beir(tmp_path)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td 1\t1\nq9\td2\t1\n", encoding="utf-8")
    lines = [json.dumps({"_id": "q1", "text": "one"}), "{"]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RowError, match=r"queries\.jsonl, row 2"):
        read_beir(tmp_path)
    (tmp_path / "queries.jsonl").write_text(lines[0], encoding="utf-8")
    with pytest.raises(RowError, match="no text for the query 'q9'"):
        read_beir(tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"text": "one"}', encoding="utf-8")
    with pytest.raises(RowError, match="no '_id'"):
        read_beir(tmp_path)
    with pytest.raises(RowError, match=r"no corpus\.jsonl"):
        list(read_corpus(tmp_path))
