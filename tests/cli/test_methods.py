"""`methods` and `show`."""

import sys

import pytest

from espalier import console
from espalier.catalogue import addresses
from espalier.cli.methods import families, names, print_advice, print_method, print_methods
from espalier.errors import RecipeError
from espalier.train.options import TrainOptions


def test_every_method_is_listed_with_paper_and_sentence(capsys):
    print_methods(console.make(), None)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == addresses()
    assert any(line.split(maxsplit=2)[1:] == ["arXiv:2305.18290", line.split(maxsplit=2)[2]] for line in lines)
    assert all(line.endswith(".") for line in lines)


def test_a_family_by_itself(capsys):
    print_methods(console.make(), "adapters")
    assert {line.partition("/")[0] for line in capsys.readouterr().out.splitlines()} == {"adapters"}
    with pytest.raises(RecipeError, match="Did you mean 'adapters'"):
        print_methods(console.make(), "adapter")


@pytest.mark.parametrize("address", addresses())
def test_every_method_can_be_shown(address, capsys):
    print_method(console.make(), address)
    assert address in capsys.readouterr().out


def test_a_method_is_shown_whole(capsys):
    print_method(console.make(), "dpo")
    shown = capsys.readouterr().out
    assert "https://arxiv.org/abs/2305.18290" in shown and "Inputs: rows with prompt, chosen and rejected" in shown
    assert "label_smoothing  float  0.0  assumed share of swapped labels" in shown
    shown = " ".join(shown.split())
    assert "preset paper Appendix B: beta = 0.1, learning_rate = 1e-06" in shown
    assert "preset small docs/objectives_measured.md" in shown and "learning_rate = 5e-05" in shown


def test_the_options_of_training_are_shown(capsys):
    print_method(console.make(), "train")
    shown = capsys.readouterr().out
    assert all(f"  {name}  " in shown for name in vars(TrainOptions())) and "clipped to this norm" in shown


def test_a_method_from_outside_is_shown(tmp_path, monkeypatch, capsys):
    (tmp_path / "theirs.py").write_text(
        '"""A method."""\nfrom dataclasses import dataclass\nfrom espalier.catalogue import method\n\n\n'
        '@method(paper="https://example.org/x")\n@dataclass(frozen=True)\nclass Theirs:\n'
        '    """Does what it does."""\n\n'
        "    size: int = 3  # in feet\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    print_method(console.make(), "theirs:Theirs")
    shown = capsys.readouterr().out
    assert "Does what it does." in shown and "in feet" in shown and "https://example.org/x" in shown
    sys.modules.pop("theirs")


def test_what_completion_offers():
    assert "objectives" in families() and {"dpo", "train"} <= set(names())


def test_rows_are_told_what_they_are_good_for(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n', encoding="utf-8")
    print_advice(console.make(), str(path), None, None)
    shown = capsys.readouterr().out
    assert all(f"\n{label}" in f"\n{shown}" for label in ("rows", "sizes", "usable by", "first", "mind"))
    assert "espalier train dpo" in " ".join(shown.split())
    with pytest.raises(RecipeError, match="Leave 'adapters' out"):
        print_advice(console.make(), str(path), "adapters", None)
