"""Scorers by name: rules, judges, reward models, and the invented world's own."""

import pytest

from espalier.answering import Answering
from espalier.contracts import Row, Scores
from espalier.errors import RecipeError
from espalier.judges.pairwise import PairwiseJudge
from espalier.judges.rating import RatingJudge
from espalier.lm.scripted import Scripted
from espalier.rewards.exact_answer import ExactAnswer
from espalier.scoring import Counted, check_scorer, known, open_scorer


class Talking(Answering):
    """Opens a model that says what it was opened as."""

    def open(self, name):
        return Scripted(lambda prompt: f"{name}: [[9]]")


def opened(name, judge=None, **options):
    return open_scorer(name, judge, options, Talking())


def test_rules_and_the_rewards_of_the_world():
    rows = [Row(prompt="p", completion=text) for text in ("Thank you, please.", "Go away.", "A table.")]
    assert opened("politeness").score(rows).values == (1.0, -1.0, 0.0)
    assert opened("mood").score([Row(completion="It is wonderful.")]).values == (1.0,)
    assert opened("exact_answer") == opened("rewards/exact_answer") == ExactAnswer()
    assert {"exact_answer", "mood", "pairwise", "politeness", "rating"} <= set(known())


def test_judges_ask_the_model_that_is_named_and_a_model_by_itself_rates():
    judge = opened("rating", "boss", max_tokens=5)
    assert isinstance(judge, RatingJudge) and judge.max_tokens == 5
    assert judge.score([Row(prompt="p", completion="c")]).values == (9.0,)
    assert isinstance(opened("pairwise", "boss"), PairwiseJudge)
    assert isinstance(opened("http://localhost/v1:m"), RatingJudge)


@pytest.mark.parametrize(
    ("name", "judge", "options", "sentence"),
    [
        ("politenes", None, {}, "no scorer named 'politenes'. Did you mean 'politeness'"),
        ("rating", None, {}, "--scorer rating asks a model: name it, --judge MODEL"),
        ("politeness", "m", {}, "--scorer politeness asks none"),
        ("exact_answer", "m", {}, "--scorer exact_answer asks none"),
        ("politeness", None, {"x": 1}, "has no options"),
        ("rating", "m", {"lowst": 1}, "no option of judges/rating named 'lowst'. Did you mean 'lowest'"),
        ("./nowhere/rm", None, {}, ""),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_opened(name, judge, options, sentence):
    if sentence:
        with pytest.raises(RecipeError, match=sentence):
            check_scorer(name, judge, options)
    else:
        check_scorer(name, judge, options)  # an earlier stage may write it


def test_what_it_could_not_say_is_counted():
    class Half:
        def score(self, rows):
            return Scores(tuple(None if number % 2 else 1.0 for number, _ in enumerate(rows)))

    counted = Counted(Half())
    assert counted.score([Row()] * 3).values == (1.0, None, 1.0) and counted.counts == {"scored": 2, "unscored": 1}
