"""Pipelines of a command line, and one of them done: kept, resumed, marked where it fails."""

import pytest

from espalier.answering import Answering
from espalier.errors import RecipeError, RunError
from espalier.evaluation.searching import Depth
from espalier.evaluation.searching_plan import Plan, file_of, pipelines_of
from espalier.knowledge.store import Store
from tests.evaluation.searches import asked, make

pytest.importorskip("bm25s")


def test_pipelines_have_settings_of_all_and_of_their_own():
    found = pipelines_of(["bm25:k1=1.2,b=0.5", "bm25+retrieve_then_read:retrieve_then_read.k=2"], ["bm25.b=0.75"])
    assert [one.name for one in found] == ["bm25:k1=1.2,b=0.5", "bm25+retrieve_then_read:retrieve_then_read.k=2"]
    assert [stage.options for one in found for stage in one.stages] == [
        {"b": 0.5, "k1": 1.2}, {"b": 0.75}, {"k": 2}
    ]  # fmt: skip
    assert file_of(found[0]) == "bm25_k1=1.2,b=0.5.jsonl"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bm25", "bm25"], "twice"),
        (["bm25:k2=1"], "k2"),
        (["bm26"], "bm26"),
        (["bm25:y=2"], "'y'"),
        (["bm25:rm3.x=1"], r"bm25\+rm3"),
    ],
)
def test_what_cannot_be_is_refused(words, sentence):
    with pytest.raises(RecipeError, match=sentence):
        pipelines_of(words)


def test_a_pipeline_is_done_once_and_a_failing_one_is_marked(tmp_path, monkeypatch):
    kb, _ = make(tmp_path)
    told = []
    [one] = pipelines_of(["bm25"])
    with Store.open(kb) as store, Answering() as answering:
        plan = Plan(store, Depth(k=2, depth=3))
        done = plan.do(one, asked()[:2], tmp_path / "bm25.jsonl", answering, lambda *step: told.append(step))
        assert done["q1"].scores["recall@2"] == 1.0 and told == [("bm25", 1, 2), ("bm25", 2, 2)]

        def broken(*_):
            raise RunError("the server is gone.")

        monkeypatch.setattr("espalier.evaluation.solving.Solver.solve", broken)
        again = plan.do(one, asked()[:2], tmp_path / "bm25.jsonl", answering, lambda *step: None)
        assert again == done and not plan.problems
        more = plan.do(one, asked(), tmp_path / "bm25.jsonl", answering, lambda *step: None)
        assert more == done and plan.problems == {"bm25": "stopped at question 3 of 4: the server is gone."}
        deeper = Plan(store, Depth(k=2, depth=4))
        assert deeper.do(one, asked(), tmp_path / "bm25.jsonl", answering, lambda *step: None) == {}
