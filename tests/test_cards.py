from pathlib import Path

from espalier.cards import Option, Preset, Setting, first_sentence, read_card

FILE = '''
"""Module."""
from dataclasses import dataclass, field
from typing import ClassVar
from espalier.catalogue import method

class Plain:
    not_an_option: int = 3

@dataclass(frozen=True)
class Base(Plain):
    beta: float = 0.1  # strength
    samples: int = 4

@method(paper="arXiv:0000.00000")
@dataclass(frozen=True)
class Method(Base):
    """Do one thing to each row,
    in one sentence. And this is another.

    Inputs: rows.
    """

    scorer: str
    samples: int = 8  # per prompt
    rate: float = 5e-7
    marks: tuple[str, ...] = (
        "#"  # what ends a line
    )
    constant: ClassVar[int] = 3

    def solve(self) -> None:
        local: int = 3

@method(paper="")
@dataclass(frozen=True)
class Second:
    """Two."""
'''


def read(tmp_path: Path, text: str, name: str | None = None):
    file = tmp_path / "method.py"
    file.write_text(text)
    return read_card(file, "family/method", name)


def test_a_card_has_sentence_paper_and_options(tmp_path):
    card = read(tmp_path, FILE)
    assert (card.address, card.paper) == ("family/method", "arXiv:0000.00000")
    assert card.title == "Do one thing to each row, in one sentence."
    assert card.options == (
        Option("beta", "float", "0.1", "strength"),
        Option("samples", "int", "8", "per prompt"),
        Option("scorer", "str", None, ""),
        Option("rate", "float", "5e-7", ""),
        Option("marks", "tuple[str, ...]", '"#"', "what ends a line"),
    )


def test_options_are_inherited_across_files_of_the_package(tmp_path):
    text = """
from dataclasses import dataclass
from espalier.train.options import TrainOptions
@method(paper="")
@dataclass(frozen=True)
class Method(TrainOptions):
    extra: int = 1
"""
    names = [option.name for option in read(tmp_path, text).options]
    assert "learning_rate" in names and names[-1] == "extra"


def test_a_preset_names_the_place_of_each_value_and_the_default_it_leaves(tmp_path):
    text = """
from dataclasses import dataclass
from typing import ClassVar
@method(paper="")
@dataclass(frozen=True)
class Method:
    beta: float = 0.1
    presets: ClassVar[dict] = {"paper": {"epochs": 1.0, "warmup": 5}, "small": {"epochs": 2.0}}
    sources: ClassVar[dict] = {"paper": {"Table 1": "beta, epochs"}}
"""
    paper = (Setting("beta", 0.1, "Table 1"), Setting("epochs", 1.0, "Table 1"), Setting("warmup", 5))
    presets = (Preset("paper", paper), Preset("small", (Setting("epochs", 2.0),)))
    assert read(tmp_path, text).presets == presets
    computed = text.replace('{"epochs": 2.0}', "dict(epochs=2.0)")  # nothing is run to find out
    assert read(tmp_path, computed).presets == ()


def test_one_of_several_methods_is_found_by_name(tmp_path):
    assert read(tmp_path, FILE, "Second").title == "Two."
    assert read(tmp_path, FILE, "Third") is None
    assert read(tmp_path, "x = 1") is None


def test_a_first_sentence_ends_at_its_period():
    assert first_sentence("One 0.5 sentence. Two.") == "One 0.5 sentence."
    assert first_sentence("No period\n\nMore.") == "No period"
    assert first_sentence("") == ""
