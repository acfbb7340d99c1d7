"""The trained detector: tokens made spans, its score, completions that are too long, options that cannot be."""

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.hallucinations import Span
from espalier.judges.hallucination_tokens import HallucinationTokens, marked
from tests.rerankers.tiny import SIZE, saved


def test_formula_neighbors_that_are_likely_are_one_span():
    tokens = [(0, 3, 0.9), (3, 5, 0.5), (5, 7, 0.4), (7, 9, 0.6), (9, 10, 0.7)]
    assert marked("one two\n x", tokens, threshold=0.5) == [Span(0, 5), Span(9, 10)]
    assert marked("one two\n x", tokens, threshold=0.65) == [Span(0, 3), Span(9, 10)]
    assert marked("one   two", [(3, 6, 0.9)], threshold=0.5) == [] and marked("", [], threshold=0.5) == []


def test_a_score_is_1_less_the_probability_of_the_worst_token(tmp_path):
    torch.manual_seed(0)
    model = BertForTokenClassification(BertConfig(**SIZE, num_labels=2, max_position_embeddings=64))
    judge = HallucinationTokens(saved(model, tmp_path))
    rows = [Row(completion=text, passages=["old"]) for text in ("It is.", "x" * 60, "")]
    first, long, empty = judge.detect(rows)
    [tokens, *_] = judge.opened.tokens(rows)
    assert first.score == 1 - max(likely for _, _, likely in tokens)
    assert (long.score, long.reason) == (None, "the completion is too long") and empty.score == 1.0


def test_what_cannot_be():
    with pytest.raises(RecipeError, match="threshold lies between 0 and 1"):
        HallucinationTokens("x", threshold=1.0)
    with pytest.raises(RecipeError, match="name a model"):
        HallucinationTokens().detect([Row(completion="x", passages=[])])
