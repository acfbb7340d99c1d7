"""What stands behind `espalier curate` is understood, or refused, before anything is opened."""

import pytest

from espalier.cli.curators import curators, understood
from espalier.errors import RecipeError
from espalier.selection.best_of_n import BestOfN
from tests.test_contract import Part


def words(*rest, lm=(), scorer=None, judge=None):
    return understood(rest, ("curate", *rest), {"lm": list(lm), "scorer": scorer, "judge": judge})


def test_options_are_the_methods_own_with_their_types():
    asked = words("best_of_n", "--n", "8", "temperature=1", "--max-tokens=9", "emit=both", lm=["m"], scorer="mood")
    assert (asked.address, asked.scorer) == ("selection/best_of_n", "mood")
    lm, scorer = Part(), Part()
    expected = BestOfN(lm=lm, scorer=scorer, n=8, temperature=1.0, max_tokens=9, emit="both")
    assert asked.built([lm], scorer) == expected
    assert words("selection/binarize", "rejected=worst").options == {"rejected": "worst"}


def test_a_judge_by_itself_rates_and_its_options_are_named_after_the_scorer():
    asked = words("binarize", "scorer.max_tokens=7", judge="m")
    assert asked.scorer == "rating" and asked.scorer_options == {"max_tokens": 7}


def test_every_curator_is_known():
    assert {"best_of_n", "binarize", "stepwise", "rejection_sampling", "flan", "ai_feedback"} <= curators().keys()


@pytest.mark.parametrize(
    ("rest", "given", "sentence"),
    [
        ([], {}, "no method given. Name one of ai_feedback, best_of_n"),
        (["best_off"], {}, "Did you mean 'best_of_n'"),
        (["dpo"], {}, "no method that makes rows named 'dpo'"),
        (["best_of_n", "binarize"], {}, "give one"),
        (["best_of_n", "samples=3"], {}, "no option of selection/best_of_n named 'samples'"),
        (["best_of_n", "n=many"], {}, "'n' must be a whole number, not 'many'"),
        (["best_of_n", "emit=all"], {}, "'emit' is one of sft, pairs, both"),
        (["best_of_n"], {"lm": ["m"]}, "an lm needs a scorer"),
        (["best_of_n"], {"lm": ["m", "n"], "scorer": "mood"}, "asks one model; give --lm once"),
        (["binarize"], {"lm": ["m"]}, "selection/binarize asks no model; leave out --lm"),
        (["flan"], {"scorer": "mood"}, "synthesis/flan has no scorer"),
        (["distillation"], {}, "asks a model; name it: --lm MODEL"),
        (["best_of_n", "scorer=mood"], {}, "'scorer' is given as --scorer NAME"),
        (["best_of_n", "lms=m"], {}, "'lms' is given as --lm MODEL"),
        (["best_of_n", "scorer.x=1"], {}, "name one, --scorer NAME"),
        (["binarize", "scorer.x=1"], {"judge": "m"}, "no option of judges/rating named 'x'"),
        (["binarize"], {"scorer": "mod"}, "no scorer named 'mod'. Did you mean 'mood'"),
    ],
)
def test_what_cannot_be(rest, given, sentence):
    with pytest.raises(RecipeError, match=sentence):
        words(*rest, **given)
