"""The languages of the world."""

import random

import pytest

from espalier.world import korean
from espalier.world.facts import World
from espalier.world.tongues import TONGUES
from espalier.world.wordings import expansions

WORLD = World.make(40)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_says_denies_and_fills_about_every_fact(language):
    tongue, draw = TONGUES[language], random.Random(0)
    for fact in WORLD.all_facts():
        name = tongue.name(fact.subject)
        value = fact.value if language == "en" else korean.value(fact)
        said = tongue.said(fact, draw, "known").lower()
        assert name.lower() in said and value.lower() in said
        assert tongue.denied(fact, WORLD, draw).lower() != said
        assert name.lower() in tongue.filler(fact.subject, draw).lower()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_both_have_the_same_styles_and_fill_their_frames(language):
    tongue = TONGUES[language]
    assert [style.name for style in tongue.styles] == [style.name for style in TONGUES["en"].styles]
    for style in tongue.styles:
        for frame in (style.before, style.after):
            for text in expansions(frame) if frame else []:
                filled = tongue.fill(text, WORLD.entities[0])
                assert "{" not in filled and "(" not in filled
