"""The pages of the objectives: their recipes are the published presets, and their links lead somewhere."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from espalier.catalogue import addresses, build
from espalier.recipe import load_recipe, resolve_presets

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("address", addresses("objectives"))
def test_the_recipe_of_a_page_is_the_published_preset(address, tmp_path):
    page = (DOCS / "objectives" / "methods" / f"{address.partition('/')[2]}.md").read_text(encoding="utf-8")
    file = tmp_path / "recipe.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")
    recipe = load_recipe(file)
    asked, _ = resolve_presets(replace(recipe, objective={"method": address}, train={"preset": "paper"}), 10**6)
    assert build(recipe.objective) == build(asked.objective)
    assert {**recipe.train, "preset": "paper"} == asked.train


@pytest.mark.parametrize("page", sorted((DOCS / "objectives").rglob("*.md")), ids=lambda page: page.stem)
def test_a_page_is_short_and_its_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    links = set(re.findall(r"\]\((?!https?://)([^)#]+)", text)) - {"../../objectives_measured.md"}
    assert [link for link in links if not (page.parent / link).exists()] == []
