"""What a method's file says about it, read as text: `espalier methods` and `show` import no method and no torch."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Option:
    """One option of a method, as its file spells it."""

    name: str
    type: str
    default: str | None = None  # source text; None where a value must be given
    comment: str = ""


@dataclass(frozen=True)
class Setting:
    """A value that a preset gives an option, or leaves at its default, and the place that says so."""

    name: str
    value: Any
    place: str = ""


@dataclass(frozen=True)
class Preset:
    """Settings that go together, those of one place beside each other."""

    name: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Card:
    """A method: where it is, what it does in one sentence, whose idea it is, and what can be set."""

    address: str
    title: str
    paper: str
    options: tuple[Option, ...] = ()
    presets: tuple[Preset, ...] = ()


def read_card(file: Path, address: str, name: str | None = None) -> Card | None:
    """The card of the method class in a file (of that name, where there are several), or None where there is none."""
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source, str(file))
    for node in tree.body:
        paper = paper_of(node) if isinstance(node, ast.ClassDef) else None
        if isinstance(node, ast.ClassDef) and paper is not None and name in (None, node.name):
            title = first_sentence(ast.get_docstring(node) or "")
            options = tuple(options_of(node, tree, source).values())
            return Card(address, title, paper, options, tuple(presets_of(node, options)))
    return None


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join(docstring.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]


def paper_of(node: ast.ClassDef) -> str | None:
    """The paper that a class's @method names; None where it has no such mark."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and _name(call.func) == "method":
            return next((ast.literal_eval(given.value) for given in call.keywords if given.arg == "paper"), "")
    return None


def _name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def options_of(node: ast.ClassDef, tree: ast.Module, source: str) -> dict[str, Option]:
    """The dataclass fields of a class by name, those of its bases in the package first, as dataclasses order them."""
    found: dict[str, Option] = {}
    for base in reversed(node.bases):
        found |= _inherited(_name(base), tree, source)
    if not any(_name(decorator) == "dataclass" for decorator in node.decorator_list):
        return found
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            kind = ast.unparse(field.annotation)
            if not kind.startswith(("ClassVar", "typing.ClassVar")):
                default = ast.get_source_segment(source, field.value) if field.value else None
                found[field.target.id] = Option(field.target.id, kind, default, _comment(field, source))
    return found


def presets_of(node: ast.ClassDef, options: Iterable[Option]) -> Iterator[Preset]:
    """The presets of a class with the places that its `sources` name, as far as both are written out."""
    tables = {name: _literal(node, name) for name in ("presets", "sources")}
    defaults = {option.name: option.default for option in options}
    for preset, values in tables["presets"].items():
        found = {}
        for place, names in tables["sources"].get(preset, {}).items():
            for name in names.split(", "):
                value = values[name] if name in values else ast.literal_eval(defaults.get(name) or "None")
                found[name] = Setting(name, value, place)
        yield Preset(preset, (*found.values(), *(Setting(n, v) for n, v in values.items() if n not in found)))


def _literal(node: ast.ClassDef, name: str) -> dict[str, Any]:
    """A table among the class attributes; empty where there is none, or none that can be read without running it."""
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and getattr(field.target, "id", "") == name and field.value:
            with contextlib.suppress(ValueError):
                found: dict[str, Any] = ast.literal_eval(field.value)
                return found
    return {}


def _inherited(name: str, tree: ast.Module, source: str) -> dict[str, Option]:
    """Options of a base class, defined in the same file or imported from another file of the package."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return options_of(node, tree, source)
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == name for alias in node.names):
            file = PACKAGE.parent.joinpath(*node.module.split(".")).with_suffix(".py")
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                return _inherited(name, ast.parse(text), text)
    return {}


def _comment(field: ast.AnnAssign, source: str) -> str:
    """The comments on the lines of a field, joined."""
    lines = source.splitlines(keepends=True)[field.lineno - 1 : field.end_lineno]
    tokens = tokenize.generate_tokens(io.StringIO("".join(lines).lstrip()).readline)
    return " ".join(token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT)
