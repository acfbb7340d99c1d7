"""Where the values of a preset come from: each has one place, in the paper or in code, or none and says so."""

import pytest

from espalier.catalogue import addresses, card, load
from espalier.recipe import FLAT


@pytest.mark.parametrize("address", addresses("objectives"))
def test_every_value_of_a_published_preset_names_its_place(address):
    found, cls = card(address), load(address)
    options = {option.name for option in found.options}
    assert cls.sources.keys() <= cls.presets.keys()
    for preset in found.presets:
        if preset.name == "small":  # this project's own
            continue
        assert all(setting.place for setting in preset.settings), preset
        told = [name for names in cls.sources[preset.name].values() for name in names.split(", ")]
        assert len(told) == len(set(told)), "a value has one place"
        assert set(told) <= options | FLAT["train"].keys(), "a place for an option that does not exist"
        assert set(told) >= cls.presets[preset.name].keys()


@pytest.mark.parametrize("address", addresses("objectives"))
def test_what_a_card_says_of_presets_is_what_training_takes(address):
    presets, defaults = load(address).presets, load(address)()
    for preset in card(address).presets:
        for setting in preset.settings:
            taken = presets[preset.name].get(setting.name, getattr(defaults, setting.name, None))
            assert taken == setting.value
