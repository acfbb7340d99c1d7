"""What the files of a sentence encoder say, and what is known of those that say nothing."""

import pytest

from espalier.errors import ModelError
from espalier.models.sentence_config import read_config
from tests.sentence_models import MODULES, write

E5 = ("query: ", "passage: ")


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("intfloat/multilingual-e5-small", *E5),
        ("/models/e5-base-v2", *E5),
        ("intfloat/multilingual-e5-large-instruct", "Instruct: Given a web search query, retrieve relevant passages "
         "that answer the query\nQuery: ", ""),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("Qwen/Qwen3-Embedding-0.6B", "Instruct: Given a web search query, retrieve relevant passages that answer the "
         "query\nQuery:", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("my/model", "", ""),
    ],
)  # fmt: skip
def test_prefixes_known_for_a_name(tmp_path, name, query, passage):
    found = read_config(tmp_path, name)
    assert (found.query, found.passage) == (query, passage)
    assert found.source == ("known for its name" if query else "")


def test_prefixes_are_known_by_the_model_it_was_made_from(tmp_path):
    write(tmp_path / "config.json", {"_name_or_path": "intfloat/e5-small"})
    assert read_config(tmp_path, "mine").query == "query: "


@pytest.mark.parametrize(
    ("config", "query", "passage"),
    [
        ({"prompts": {"query": "q ", "document": "d "}}, "q ", "d "),
        ({"prompts": {"s2p_query": "q ", "s2s_query": "s "}}, "q ", ""),
        ({"prompts": {"any": "p "}, "default_prompt_name": "any"}, "p ", "p "),
        ({"prompts": {"query": "", "passage": "d "}}, "", "d "),
        ({"prompts": {"query": None}}, "query: ", "passage: "),
    ],
)
def test_a_configuration_goes_before_a_name(tmp_path, config, query, passage):
    write(tmp_path / "config_sentence_transformers.json", config)
    found = read_config(tmp_path, "intfloat/e5-small")
    assert (found.query, found.passage) == (query, passage)


@pytest.mark.parametrize(
    ("options", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, ("max", "mean")),
        ({"pooling_mode_lasttoken": True}, ("last",)),
        ({"pooling_mode": "weightedmean"}, ("weighted_mean",)),
        ({"pooling_mode": ["mean_sqrt_len_tokens", "cls"]}, ("mean_sqrt_length", "cls")),
        ({}, ("mean",)),
    ],
)
def test_pooling_of_old_and_new_files(tmp_path, options, pooling):
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    write(tmp_path / "modules.json", [{"type": MODULES + kind, "path": path} for path, kind in kinds.items()])
    write(tmp_path / "1_Pooling" / "config.json", options)
    assert read_config(tmp_path, "x").pooling == pooling
    assert read_config(tmp_path, "x", "cls").pooling == ("cls",)


@pytest.mark.parametrize(
    ("modules", "sentence"),
    [
        ([{"type": MODULES + "BoW", "path": ""}], "begins with BoW"),
        ([{"type": MODULES + "Transformer", "path": ""}, {"type": "x.CNN", "path": "1"}], "no module named 'CNN'"),
        ({"a": 1}, "no list of modules"),
    ],
)
def test_modules_that_are_not_known(tmp_path, modules, sentence):
    write(tmp_path / "modules.json", modules)
    with pytest.raises(ModelError, match=sentence):
        read_config(tmp_path, "x")


def test_poolings_that_are_not_known(tmp_path):
    with pytest.raises(ModelError, match=r"no pooling named 'meen'\. Did you mean 'mean'"):
        read_config(tmp_path, "x", "meen")
