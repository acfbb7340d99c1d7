"""The trained detector: tokens made spans, its score, completions that are too long, options that cannot be."""

import random
from dataclasses import replace

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification

from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.evaluation.hallucinations import ALL, detection
from espalier.hallucinations import Span
from espalier.judges.hallucination_tokens import HallucinationTokens, marked
from espalier.judges.hallucination_words import HallucinationWords
from espalier.train.token_labels import TokenLabels
from espalier.world.facts import World, other_than, value_of
from espalier.world.names import Split
from espalier.world.passages import passage, said
from espalier.world.wordings import relations
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


def rows(split: Split, count: int, size: int) -> list[Row]:
    """Sentences about the world under two passages; half have another value, and half of those of the other passage."""
    world, draw, found = World.make(size, split=split), random.Random(split), []
    for _ in range(count):
        entity = draw.choice(world.entities)
        other = other_than(entity, world.by_kind[entity.kind], draw)
        told = draw.sample(sorted(world.facts[entity.name]), 2)
        shown = [passage(world, one, told, draw, filler=0.0) for one in (entity, other)]
        fact = world.facts[entity.name][draw.choice(told)]
        kind = relations()[fact.relation].value
        made_up = value_of(fact.relation, kind, entity, world.by_kind, draw)
        value = draw.choice([fact.value, fact.value, world.facts[other.name][fact.relation].value, made_up])
        text, labels = said(replace(fact, value=value), draw), []
        if value != fact.value:
            labels = [{"start": text.rindex(value), "end": text.rindex(value) + len(value)}]
        passages = [{"title": one.title, "text": one.text} for one in draw.sample(shown, 2)]
        found.append(Row(completion=text, passages=passages, labels=labels))
    return found


@pytest.mark.slow
def test_learns_more_than_words_can_tell(tmp_path):
    TokenLabels(epochs=4, batch_size=16, learning_rate=5e-4).train(rows("train", 400, 200), "sprout", tmp_path / "out")
    test = rows("test", 150, 60)
    trained, words = (
        detection(test, detector.detect(test), resamples=200)
        for detector in (HallucinationTokens(str(tmp_path / "out")), HallucinationWords())
    )
    assert trained.spans[ALL].f1.low > words.spans[ALL].f1.high
    assert trained.responses[ALL].f1.low > words.responses[ALL].f1.high
