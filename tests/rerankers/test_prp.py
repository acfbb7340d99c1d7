"""PRP with scripted models: perfect, biased and silent ones, scored and generated; calls counted."""

import math
import random
import re

import pytest

from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError
from espalier.lm.scripted import Scripted
from espalier.rerankers.prp import PRP, points, read_letter


def rows(truth):
    return [Row(query="rain", document=f"of worth {worth}") for worth in truth]


def better(prompt):
    first, second = (int(worth) for worth in re.findall(r"worth (\d+)", prompt))
    return "A" if first < second else "B"


def scored(seen=None):
    """A perfect model with log-probabilities, which notes its prompts."""
    seen = [] if seen is None else seen

    def logprob(prompt, label):
        seen.append(prompt)
        return -0.1 if label == better(prompt) else -3.0

    return Scripted(logprob=logprob)


def order(scores):
    return sorted(range(len(scores)), key=lambda row: -scores[row])


@pytest.mark.parametrize("sort", ["all", "heap", "sliding"])
@pytest.mark.parametrize("mode", ["score", "generate"])
def test_property_a_perfect_model_sorts(sort, mode):
    truth = random.Random(3).sample(range(10), 10)
    lm = scored() if mode == "score" else Scripted(better)
    values = PRP(lm, sort=sort, mode=mode).score(rows(truth)).values
    assert [truth[row] for row in order(values)] == list(range(10))


@pytest.mark.parametrize("sort", ["all", "heap", "sliding"])
@pytest.mark.parametrize("reply", ["A", "B", "I do not know", "A or B"])
def test_property_a_biased_or_silent_model_ties_and_ties_keep_the_order(sort, reply):
    values = PRP(Scripted(lambda prompt: reply), sort=sort, mode="generate").score(rows([3, 1, 2])).values
    assert values == (None,) * 3 if len(reply) > 1 else order(values) == [0, 1, 2]


@pytest.mark.parametrize("n", [2, 12, 40])
def test_formula_prompts(n):
    truth = random.Random(n).sample(range(n), n)
    asked = {}
    for sort in ("all", "heap", "sliding"):
        seen = []
        PRP(scored(seen), sort=sort).score(rows(truth))
        asked[sort] = len(set(seen))
    assert asked["all"] == n * (n - 1)
    assert asked["heap"] <= 2 * (n * math.log2(n) + n)
    assert asked["sliding"] <= min(2 * 10 * (n - 1), n * (n - 1))


def test_formula_points():
    assert points("A", "B") == 1.0
    assert points("B", "A") == 0.0
    assert [points(*both) for both in (("A", "A"), ("B", "B"), (None, "B"), (None, None))] == [0.5] * 4


def test_all_pairs_score_by_points_and_count_what_is_not_readable():
    replies = {("0", "1"): "A", ("1", "0"): "B"}  # all other pairs are not said
    lm = Scripted(lambda prompt: replies.get(tuple(re.findall(r"worth (\d+)", prompt)), "?"))
    scores = PRP(lm, sort="all", mode="generate").score(rows([0, 1, 2]))
    assert scores.values == (1.5, 0.5, 1.0)
    assert scores.reasons[0] == "4 of 6 replies name no order"


def test_one_passage_asks_nothing():
    assert PRP(Scripted()).score(rows([1])).values == (1.0,)


def test_each_pair_is_shown_in_both_orders_with_the_passages_in_quotes():
    seen = []
    PRP(scored(seen)).score(rows([1, 0]))
    assert ['Passage A: "of worth 1"\nPassage B: "of worth 0"' in prompt for prompt in seen[::2]] == [True, False]


@pytest.mark.parametrize(
    ("reply", "letter"),
    [("A", "A"), ("Passage B.", "B"), ("**B**", "B"), ("A is worse than B", None), ("", None), ("<think>A", None),
     ("<think>A</think>B", "B"), ("Alpha", None)],
)  # fmt: skip
def test_a_reply_is_read(reply, letter):
    assert read_letter(reply) == letter


def test_a_model_without_log_probabilities_is_told_what_to_do():
    with pytest.raises(ModelError, match=r"rerankers/prp asks for log-probabilities: .* Set mode=generate"):
        PRP(Scripted()).score(rows([1, 0]))


def test_options_that_cannot_be_are_refused():
    with pytest.raises(RecipeError, match="at least 1"):
        PRP(Scripted(), k=0)
