"""`espalier compare KB`, from its words to its page."""

import json

import pytest

from espalier import answering
from espalier.cli.comparing_searches import Options, compare_searches, is_index
from espalier.errors import RecipeError, RunError
from espalier.lm.scripted import Scripted
from tests.evaluation.searches import make

pytest.importorskip("bm25s")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("searches"))


def test_an_index_is_told_by_its_name_or_its_head(made, tmp_path):
    other = tmp_path / "notes.db"
    other.write_bytes(made[0].read_bytes())
    (tmp_path / "dpo").mkdir()
    assert is_index(str(made[0])) and is_index(str(other)) and is_index("missing.kb")
    assert not (is_index("dpo") or is_index(str(made[1])) or is_index(str(tmp_path / "dpo")))


def test_searches_are_compared_and_written(made, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(made[0]), "bm25", "bm25:b=0.0", "tf_idf"]
    code = compare_searches(words, ["k=2", "depth=3"], data=str(made[1]), out=str(out))
    said = capsys.readouterr().out
    assert code == 1 and "tf_idf: stopped at question 1 of 5" in said and "recall@2" in said
    assert "gain: the grade itself; relevant: grade 1 or more" in said and "exact match" not in said
    found = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert found["pipelines"]["bm25"]["metrics"]["recall@2"]["value"] == 1.0
    assert found["pipelines"]["bm25"]["n"] == 5 and found["about"]["depth"] == 3
    assert (out / "compare.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    lines = (out / "questions" / "bm25.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    assert compare_searches(words[:2], ["k=2", "depth=3"], data=str(made[1]), out=str(out)) == 0
    assert (out / "questions" / "bm25.jsonl").read_text(encoding="utf-8").splitlines() == lines


def test_a_model_answers_and_is_measured(made, monkeypatch, capsys):
    def reply(prompt):
        return "Quote: Belmi Dorvan was born in Kastel in 1874.\nAnswer: Kastel" if "Dorvan?" in prompt else "Kastel"

    lm = Scripted(reply)
    monkeypatch.setattr(answering.Answering, "open", lambda self, name: lm)
    assert compare_searches([str(made[0]), "bm25"], [], data=str(made[1]), model="m") == 0
    said = capsys.readouterr().out
    assert "exact match" in said and "citation precision" in said and "model calls" in said


@pytest.mark.parametrize(
    ("words", "overrides", "more", "sentence"),
    [
        ([], [], {"data": None}, "which questions"),
        (["bm25+retrieve_then_read"], [], {}, "asks a language model"),
        (["bm25+retrieve_then_read"], [], {"model": "m", "answers": False}, "leave out --answers 0"),
        (["bm25"], ["kk=1"], {}, "no option of a comparison of searches named 'kk'. Did you mean 'k'"),
        (["bm25"], ["k=x"], {}, "k=x: it must be a whole number"),
        (["bm25"], ["k=0"], {}, "at least 1"),
        (["bm25"], [], {"metric": "f2"}, "measure to decide by"),
        (["bm25"], [], {"refused": {"--vary": ["x"]}}, "--vary is about training"),
    ],
)
def test_what_cannot_be_is_refused(made, words, overrides, more, sentence):
    with pytest.raises(RecipeError, match=sentence):
        compare_searches([str(made[0]), *words], overrides, **({"data": str(made[1])} | more))


def test_an_index_that_is_missing_is_named(made):
    with pytest.raises(RunError, match="there is no index"):
        compare_searches(["missing.kb"], [], data=str(made[1]))


def test_options_and_settings_of_parts():
    found, settings = Options.of(["k=3", "least=2", "set=rm3.terms=9", "bm25.k1=1.2", "qrels=a.txt"])
    assert (found.k, found.least, found.qrels) == (3, 2, "a.txt") and settings == ["rm3.terms=9", "bm25.k1=1.2"]


def test_it_is_stopped_in_order(made, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("espalier.evaluation.solving.Solver.solve", stop)
    code = compare_searches([str(made[0])], [], data=str(made[1]), out=str(tmp_path / "o"), go_on="espalier compare x")
    assert code == 130 and "go on with: espalier compare x" in capsys.readouterr().err
