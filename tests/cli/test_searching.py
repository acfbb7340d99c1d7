"""`espalier search`: passages, their scores, and why."""

import json

import pytest

from espalier.cli.searching import search
from espalier.contracts import Hit, Part
from espalier.errors import RecipeError
from tests.evaluation.searches import make

pytest.importorskip("bm25s")


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    return make(tmp_path_factory.mktemp("searches"))[0]


def test_passages_stand_with_their_score_and_why(kb, capsys):
    search(kb, "mill of Orrin", k=1, explain=True)
    said = capsys.readouterr().out
    assert said.startswith("[1] mill  mill.md, characters 0 to ") and "score " in said and "burned down" in said
    assert any(line.split()[:1] == ["mill"] for line in said.splitlines())


def test_json_has_everything(kb, capsys):
    search(kb, "mill of Orrin", k=2, explain=True, as_json=True)
    found = json.loads(capsys.readouterr().out)
    first = found["passages"][0]
    assert first["document"] == "mill.md" and sum(first["explain"].values()) == pytest.approx(first["score"], rel=1e-5)


def test_every_stage_is_shown(kb, capsys, monkeypatch):
    class Staged:
        def search(self, query, k):
            return [
                Hit("a.md", 0.5, "text\x1b[31m", place="page 3", parts=(Part("bm25", 2, 1.5), Part("upr", 1, -2.0)))
            ]

    monkeypatch.setattr("espalier.pipelines.Pipeline.retriever", lambda *_: Staged())
    search(kb, "x")
    said = capsys.readouterr().out
    assert "page 3" in said and "(bm25 1.50, rank 2 \u00b7 upr -2.00, rank 1)" in said and "\x1b" not in said


def test_nothing_found_is_said(kb, capsys):
    search(kb, "zzz")
    assert capsys.readouterr().out == "Nothing was found.\n"


@pytest.mark.parametrize(
    ("query", "more", "sentence"),
    [
        (" ", {}, "the query is empty"),
        ("x", {"pipeline": "bm25+retrieve_then_read"}, "answers questions"),
        ("x", {"pipeline": "bm26"}, "bm26"),
        ("x", {"k": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_is_refused(kb, query, more, sentence):
    with pytest.raises(RecipeError, match=sentence):
        search(kb, query, **more)
