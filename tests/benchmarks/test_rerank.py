"""The race of rerankers: its rows, and padded batches that agree with ours."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks import rerank, shapes
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.rerankers.prp import PRP
from espalier.rerankers.upr import UPR
from espalier.trees.engine import Engine


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    folder = shapes.saved("tiny", tmp_path_factory.mktemp("shapes"))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return rerank.Noted(Role(Engine(model)), Renderer(AutoTokenizer.from_pretrained(folder), template="plain"))


def test_rows_are_the_same_each_time_and_of_unlike_length():
    rows = rerank.rows_of(2, 3, 100)
    assert rows == rerank.rows_of(2, 3, 100)
    assert [row["group"] for row in rows] == [0, 0, 0, 1, 1, 1]
    assert len({len(row["document"].split()) for row in rows}) > 1


@pytest.mark.parametrize(("make", "prompts"), [(UPR, 3), (lambda lm: PRP(lm, sort="all"), 6)])
def test_both_forms_of_padded_batches_agree_with_ours(lm, make, prompts):
    rows = rerank.rows_of(1, 3, 1024)
    found = rerank.measured(lambda: make(lm).score(rows), lm, 1)
    assert found["prompts"] == prompts and found["apart"] < rerank.TOLERANCE
    assert found["times as fast"].keys() == {rerank.PLAIN, rerank.BEST}


def test_one_label_stands_for_both():
    paths = [rerank.Rendered.of([([1, 2], False), ([label, 0], True)]) for label in (7, 8)]
    [path] = rerank.one_label(paths)
    assert (path.ids.tolist(), path.mask.tolist()) == ([1, 2, 7], [False, False, True])
