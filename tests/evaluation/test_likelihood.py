"""Likelihoods through the engine: the same in pieces, padded, and by hand."""

import pytest
import torch

from espalier.errors import ModelError
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.likelihood import by_engine
from espalier.models.roles import Role
from tests.evaluation.tiny import PAIRS, RENDERER, SAID, logp, tiny_role


def test_equals_itself_in_any_pieces_and_layout():
    model = tiny_role()
    rows = [*SAID, *PAIRS]
    whole = evaluate(model, rows, RENDERER, reference=tiny_role(1), generate=False).metrics
    pieces = evaluate(Role(model.engine, max_tokens=40), rows, RENDERER, reference=tiny_role(1), generate=False).metrics
    padded = evaluate(tiny_role(layout="rows"), rows, RENDERER, reference=tiny_role(1), generate=False).metrics
    assert {"perplexity", "reward_accuracy", "logp_accuracy"} <= set(whole)
    for other in (pieces, padded):
        for name, metric in whole.items():
            assert other[name].value == pytest.approx(metric.value, rel=1e-4, abs=1e-4)  # float32


def test_equals_the_models_own_forward_and_counts_tokens_and_bytes():
    model, told = tiny_role(), []
    paths = [[RENDERER.completion("Hi", text)] for text in (" 좋아", "", " yes")]
    found = by_engine(model, paths, RENDERER, told.append)
    for text, [one] in zip((" 좋아", "", " yes"), found, strict=True):
        assert one.logp == pytest.approx(logp(model, "Hi", text), abs=1e-4)  # float32
        assert (one.tokens, one.size) == (len(text.encode()) + 1, len(text.encode()))
    assert sum(told) == 3


def test_dropout_is_off_and_the_model_is_left_as_it_was():
    model = tiny_role()
    for layer in model.inner.model.model.layers:
        layer.self_attn.attention_dropout = 0.9
    model.inner.model.train()
    first, second = (by_engine(model, [[RENDERER.completion("Hi", " yes")]], RENDERER, print) for _ in range(2))
    assert first == second and model.inner.model.training and torch.is_grad_enabled()


def test_weights_that_are_not_finite_are_named():
    model = tiny_role()
    model.inner.model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        by_engine(model, [[RENDERER.completion("Hi", " yes")]], RENDERER, print)
