"""What is compared, from the words of a command line."""

import pytest

from espalier.comparison.candidates import Candidate, expand
from espalier.errors import RecipeError


def test_objectives_keep_their_order_and_settings_of_their_own():
    found = expand(["dpo", "objectives/ipo", "dpo:beta=0.5,learning-rate=1e-5", "their.module:Class"], [])
    assert [one.name for one in found] == ["dpo", "ipo", "dpo-beta-0.5-learning_rate-1e-5", "module-Class"]
    assert found[2] == Candidate(found[2].name, "dpo", ("beta=0.5", "learning-rate=1e-5"))


def test_several_varied_settings_are_combined():
    found = expand(["recipes/mine.toml"], ["objective.beta=0.1,0.5", "adapter.targets=[q, v],all"])
    assert [one.settings for one in found] == [
        ("objective.beta=0.1", "adapter.targets=[q, v]"),
        ("objective.beta=0.1", "adapter.targets=all"),
        ("objective.beta=0.5", "adapter.targets=[q, v]"),
        ("objective.beta=0.5", "adapter.targets=all"),
    ]
    assert [one.name for one in found][::2] == ["mine-beta-0.1-targets-q-v", "mine-beta-0.5-targets-q-v"]


def test_a_candidate_that_says_how_long_it_trains_is_known():
    assert [one.own_length for one in expand(["dpo", "ipo:epochs=2", "kto:train.max-steps=9"], [])] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("words", "varied", "sentence"),
    [
        (["dpo"], [], "nothing to compare with"),
        (["dpo", "dpo"], [], "two candidates are called 'dpo'"),
        (["rows.toml", "dpo"], [], "cannot be called 'rows'"),
        (["dpo:beta=", "ipo"], [], "settings are name=value"),
        (["dpo:beta=1"], ["beta=2,3"], "'beta' is set twice"),
        (["dpo"], ["beta=0.1"], "two different values or more"),
        (["dpo"], ["beta=1,1"], "two different values or more"),
        (["dpo"], ["beta=1,,2"], "two different values or more"),
        (["dpo"], ["seed=" + ",".join(map(str, range(101)))], "101 candidates are more than the 100"),
    ],
)
def test_what_cannot_be_compared_is_said(words, varied, sentence):
    with pytest.raises(RecipeError, match=sentence):
        expand(words, varied)
