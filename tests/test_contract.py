"""What every method and every file of the project promises, asked once for all of them."""

import ast
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_type_hints

import pytest

from espalier.catalogue import address_of, addresses, build, card, load, method, options
from espalier.overrides import ALIASES
from espalier.recipe import FLAT
from espalier.tables import toml

ROOT = Path(__file__).parents[1]
PARTS = ("espalier", "tests", "docs", "examples", "benchmarks", "recipes", ".ci")
TEXTS = sorted(
    path
    for folder in (ROOT, *(ROOT / part for part in PARTS))
    for path in (folder.glob("*") if folder == ROOT else folder.rglob("*"))
    if path.is_file() and path.suffix in ("", ".py", ".md", ".toml", ".txt", ".sh", ".json", ".jsonl", ".html")
)
SOURCES = [path for path in TEXTS if path.suffix == ".py" and path.is_relative_to(ROOT / "espalier")]


@method(paper="")
@dataclass(frozen=True)
class Part:
    """Whatever a method asks another method for: a model, a retriever, an embedder."""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return None


every_method = pytest.mark.parametrize("address", addresses())
every_objective = pytest.mark.parametrize("address", addresses("objectives"))


@every_method
def test_a_method_is_a_frozen_dataclass_at_its_address(address):
    cls = load(address)
    assert cls.__dataclass_params__.frozen
    assert address_of(cls) == address
    assert get_type_hints(cls).keys() >= {field.name for field in fields(cls)}


@every_method
def test_a_card_is_complete_and_agrees_with_the_class(address):
    found, cls = card(address), load(address)
    assert found.title.endswith(".") and len(found.title) > 20
    assert re.fullmatch(r"|arXiv:\d{4}\.\d{4,5}|doi:\S+|https://\S+", found.paper)
    assert [option.name for option in found.options] == [field.name for field in fields(cls) if field.init]


@every_method
def test_a_method_survives_toml(address):
    required = [option.name for option in card(address).options if option.default is None]
    built = build({"method": address, **dict.fromkeys(required, f"{__name__}:Part")})
    assert build(tomllib.loads(toml(options(built)))) == built


@every_method
def test_a_method_is_one_short_file_with_a_mirrored_test(address):
    source = (ROOT / "espalier" / f"{address}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 120
    assert ast.get_docstring(ast.parse(source)), "the module's docstring names method and paper"
    family, name = address.split("/")
    tests = ast.parse((ROOT / "tests" / family / f"test_{name}.py").read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tests))


@every_method
def test_no_alias_of_another_tool_hides_an_option(address):
    assert not {option.name for option in card(address).options} & ALIASES.keys()


@every_objective
def test_an_objective_names_its_paper_and_its_inputs(address):
    assert card(address).paper
    assert "Inputs:" in (load(address).__doc__ or "")


@every_objective
def test_presets_are_options(address):
    presets = getattr(load(address), "presets", {})
    mine = {option.name for option in card(address).options}
    assert not mine & FLAT["train"].keys(), "an option of [train] and one of the objective would share a preset's key"
    assert not presets or presets.keys() >= {"paper", "small"}
    for values in presets.values():
        assert values.keys() <= FLAT["train"].keys() | mine


def test_aliases_lead_to_names_that_exist():
    ours = {name for names in FLAT.values() for name in names} | {"objective", "adapter", "optimizer"}
    ours |= {option.name for address in addresses() for option in card(address).options}
    assert set(ALIASES.values()) <= ours
    assert not ALIASES.keys() & {name for names in FLAT.values() for name in names}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, "split it by idea"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_speaks_only_of_the_project(path):
    text = path.read_text(encoding="utf-8", errors="replace")
    assert not re.search("TO" + r"DO(?!\(#\d+\))", text), "it has no number: (#7)"
    machine = [word for word in ("/" + "work/", "../" + "shared") if word in text]
    assert not machine, "no path of one machine"
