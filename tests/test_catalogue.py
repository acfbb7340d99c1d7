import os
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from espalier import catalogue
from espalier.catalogue import address_of, addresses, build, card, cards, load, method, options, resolve
from espalier.errors import RecipeError

HEADER = """
from dataclasses import dataclass
from espalier.catalogue import method
"""
METHOD = """
@method(paper="arXiv:0000.00000")
@dataclass(frozen=True)
class {name}:
    '''Fit {name}.'''
    beta: float = 0.1  # strength
"""


@pytest.fixture
def garden(tmp_path, monkeypatch):
    """A package of methods like ours, in place of ours."""
    files = {
        "objectives/dpo": HEADER + METHOD.format(name="DPO"),
        "objectives/best": HEADER + METHOD.format(name="Best"),
        "rewards/best": HEADER + METHOD.format(name="Best"),
        "rewards/none": HEADER,
        "rewards/_shared": "raise AssertionError('imported')",
        "train/loop": "",
    }
    for name, text in files.items():
        file = tmp_path / "garden" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "outside.py").write_text(HEADER + METHOD.format(name="Mine"))
    (tmp_path / "several.py").write_text(HEADER + METHOD.format(name="One") + METHOD.format(name="Two"))
    (tmp_path / "broken.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "ROOT", tmp_path / "garden")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("garden", "outside", "several", "broken")]:
        del sys.modules[name]


def test_addresses_are_folder_and_file(garden):
    assert addresses() == ["objectives/best", "objectives/dpo", "rewards/best", "rewards/none"]
    assert addresses("rewards") == ["rewards/best", "rewards/none"]
    assert not [name for name in sys.modules if name.startswith("garden")]


def test_a_method_is_loaded_by_address_and_by_unique_name(garden):
    assert load("objectives/dpo") is load("dpo")
    assert load("dpo").__name__ == "DPO"
    assert address_of(load("dpo")) == address_of(load("dpo")()) == "objectives/dpo"
    assert "garden.objectives.best" not in sys.modules


def test_a_family_decides_between_equal_names(garden):
    assert resolve("best", "rewards") == "rewards/best"
    with pytest.raises(RecipeError, match="several methods are named 'best': objectives/best, rewards/best"):
        resolve("best")


@pytest.mark.parametrize(
    ("name", "family", "sentence"),
    [
        ("dppo", None, "no method named 'dppo'. Did you mean 'dpo'? Known: best, dpo, none."),
        ("objectives/dppo", None, "Did you mean 'objectives/dpo'?"),
        ("rewards/best", "objectives", "no method of objectives named 'rewards/best'."),
        ("none", None, "rewards/none: garden.rewards.none has no class marked @method"),
        (
            "out.side:Mine",
            None,
            "no module for the method 'out.side:Mine'. Install it, or add its folder to",
        ),
        ("./outside.py", None, "no module for the method './outside.py'"),
        ("outside:Yours", None, "outside:Yours: outside has no Yours marked @method"),
        ("several:", None, "several:: several methods (One, Two). Write several:One."),
    ],
)
def test_a_name_that_leads_nowhere_is_one_sentence(garden, name, family, sentence):
    with pytest.raises(RecipeError) as error:
        load(name, family)
    assert sentence in str(error.value)


def test_a_method_from_outside_is_a_dotted_path(garden):
    mine = load("outside:Mine")
    assert load("outside.Mine") is mine and load("outside:") is mine
    assert address_of(mine) == "outside:Mine"
    assert options(build({"method": "outside.Mine", "beta": 2})) == {"method": "outside:Mine", "beta": 2.0}
    assert card("outside:Mine").options[0].comment == "strength"


def test_a_module_that_fails_inside_is_not_called_missing(garden):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        load("broken:Any")


def test_cards_of_a_file_without_a_method_say_so(garden):
    with pytest.raises(RecipeError, match="rewards/none: the file has no class marked @method"):
        cards()
    assert [found.title for found in cards("objectives")] == ["Fit Best.", "Fit DPO."]


def test_a_card_is_not_inherited(garden):
    class Heir(load("dpo")):
        pass

    with pytest.raises(RecipeError, match="Heir is not a method"):
        options(Heir())


def test_a_method_is_a_frozen_dataclass():
    @dataclass
    class Loose:
        beta: float = 0.1

    with pytest.raises(TypeError, match="a method is a frozen dataclass"):
        method(paper="")(Loose)


def test_build_names_the_option_that_does_not_exist(garden):
    with pytest.raises(RecipeError) as error:
        build({"method": "dpo", "betta": 0.2})
    assert str(error.value) == "no option of objectives/dpo named 'betta'. Did you mean 'beta'? Known: beta."
    with pytest.raises(RecipeError, match="a method's table needs method"):
        build({"beta": 0.2})


def test_a_built_method_cannot_change(garden):
    built = build({"method": "dpo"})
    with pytest.raises(FrozenInstanceError):
        built.beta = 1.0


def test_listing_methods_imports_no_torch_and_takes_less_than_half_a_second():
    code = "import sys; from espalier.catalogue import cards; cards(); print(*sys.modules)"
    start = os.times()
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    end = os.times()
    took = end.children_user + end.children_system - start.children_user - start.children_system
    assert not {"torch", "transformers", "numpy"} & set(found.stdout.split())
    assert took < 2, "half a second of work, however busy the machine is"


def test_an_objective_is_made_without_transformers():
    code = (
        "import sys; from espalier.catalogue import *; [load(a) for a in addresses('objectives')]; print(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    loaded = found.stdout.split()
    assert "espalier.objectives.dpo" in loaded and not {"transformers", "peft"} & set(loaded)
