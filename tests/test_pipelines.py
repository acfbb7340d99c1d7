"""Names of pipelines taken apart, and what is refused of them."""

import pytest

from espalier.errors import RecipeError
from espalier.pipelines import Pipeline


def test_a_name_becomes_its_parts_in_order():
    found = Pipeline.parse("bm25+retrieve_then_read", ["bm25.k1=1.2", "retrieve_then_read.k=2"])
    assert [(stage.address, stage.options) for stage in found.stages] == [
        ("retrievers/bm25", {"k1": 1.2}), ("rag/retrieve_then_read", {"k": 2})
    ]  # fmt: skip
    assert found.strategy == found.stages[1] and found.asks


def test_bm25_searches_where_no_retriever_is_named():
    assert [stage.address for stage in Pipeline.parse("").stages] == ["retrievers/bm25"]
    found = Pipeline.parse("retrieve_then_read")
    assert (found.name, found.stages[0].address) == ("retrieve_then_read", "retrievers/bm25")


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("bm52", [], "did you mean|bm25"),
        ("bm25+bm25", [], "stands first, and once"),
        ("retrieve_then_read+bm25", [], "stands last"),
        ("bm25", ["bm25.k2=1"], "k2"),
        ("bm25", ["k1=1"], "write PART.OPTION=VALUE"),
        ("bm25", ["bm26.k1=1"], "bm26"),
    ],
)
def test_what_does_not_fit_is_refused(name, settings, sentence):
    with pytest.raises(RecipeError, match=sentence):
        Pipeline.parse(name, settings)


def test_a_pipeline_that_asks_needs_a_model(tmp_path):
    with pytest.raises(RecipeError, match="--model"):
        Pipeline.parse("bm25+retrieve_then_read")._built(Pipeline.parse("retrieve_then_read").stages[1], None)
