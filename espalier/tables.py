"""Tables of options: into typed objects, back into tables, and as TOML text."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from espalier.errors import RecipeError, unknown

T = TypeVar("T")
Table = dict[str, Any]
Build = Callable[[Table], object]  # what makes a method of a table inside a table

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def make(cls: type[T], table: Mapping[str, Any], name: str, build: Build) -> T:
    """A dataclass from a table of its options, each converted to the annotated type.

    Args:
        cls: the dataclass.
        table: values by option; TOML has no null, so the text "none" is None where None is allowed.
        name: what errors call it: "objectives/dpo", "[train]".
        build: makes a method of a table (or of a bare address) where an option holds another method.
    """
    declared: Any = cls
    known = {field.name: field for field in fields(declared) if field.init}
    for key in table:
        if key not in known:
            raise RecipeError(unknown(f"option of {name}", key, known))
    for key, field in known.items():
        if key not in table and field.default is MISSING and field.default_factory is MISSING:
            kind = getattr(field.type, "__name__", field.type)
            raise RecipeError(f"{name} needs a value for {key!r} ({kind}).")
    hints = get_type_hints(cls)
    return cls(**{key: _convert(value, hints[key], f"{name}: {key!r}", build) for key, value in table.items()})


def _convert(value: Any, hint: Any, where: str, build: Build) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return value
    if hint in WORDS:
        return _scalar(value, hint, where)
    if origin in (Union, types.UnionType):
        return _one_of(value, inner, where, build)
    if origin is Literal:
        if value not in inner:
            raise RecipeError(f"{where} is one of {', '.join(map(str, inner))}, not {value!r}.")
        return value
    if origin is not None and issubclass(origin, Mapping):
        _require(isinstance(value, Mapping), where, "a table", value)
        return {key: _convert(item, inner[1], f"{where}, {key!r}", build) for key, item in value.items()}
    if origin is not None and issubclass(origin, Sequence):
        value = [value] if isinstance(value, str) and str in inner else value
        _require(isinstance(value, list | tuple), where, "a list", value)
        kinds = inner[:1] * len(value) if len(inner) == 1 or inner[-1] is ... else inner
        _require(len(kinds) == len(value), where, f"a list of {len(kinds)}", value)
        made = [_convert(item, kind, where, build) for item, kind in zip(value, kinds, strict=True)]
        return tuple(made) if origin is tuple else made
    return _nested(value, hint, where, build)


def _scalar(value: Any, hint: type, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)  # 1e3 steps
    _require(isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), where, WORDS[hint], value)
    return value


def _one_of(value: Any, hints: Sequence[Any], where: str, build: Build) -> Any:
    if type(None) in hints and (value is None or value == "none"):
        return None
    hints = [hint for hint in hints if hint is not type(None)]
    if type(value) in hints:  # `int | float` keeps what was written
        return value
    problems = []
    for hint in hints:
        try:
            return _convert(value, hint, where, build)
        except RecipeError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    raise RecipeError(f"{where} is {' or '.join(WORDS.get(hint, str(hint)) for hint in hints)}, not {value!r}.")


def _nested(value: Any, hint: Any, where: str, build: Build) -> Any:
    """An object inside an object: a method's table or address, a plain dataclass's table, or the object itself."""
    if isinstance(value, Mapping) and "method" not in value and isinstance(hint, type) and is_dataclass(hint):
        return make(hint, value, where, build)
    if isinstance(value, str | Mapping):
        value = build({"method": value} if isinstance(value, str) else dict(value))
    kind = getattr(hint, "__name__", str(hint))
    if getattr(hint, "_is_protocol", False):
        lacking = [verb for verb in vars(hint) if not verb.startswith("_") and not hasattr(value, verb)]
        _require(not lacking, where, f"a {kind} (it has no {', '.join(lacking)})", value)
    else:
        _require(isinstance(value, hint), where, f"a {kind}", value)
    return value


def _require(fits: bool, where: str, wanted: str, value: Any) -> None:
    if not fits:
        raise RecipeError(f"{where} must be {wanted}, not {value!r}.")


def plain(built: Any, address: Callable[[object], str | None]) -> Any:
    """A value as TOML has it, `make`'s opposite; `address` names methods, and is None for any other object."""
    if isinstance(built, list | tuple):
        return [plain(item, address) for item in built]
    if isinstance(built, Mapping):
        return {key: plain(item, address) for key, item in built.items()}
    if not is_dataclass(built):
        return built
    name = address(built)
    table: Table = {} if name is None else {"method": name}
    for field in fields(built):
        value = getattr(built, field.name)
        if field.init and (value is not None or field.default is not None):
            table[field.name] = "none" if value is None else plain(value, address)
    return table


def toml(table: Mapping[str, Any]) -> str:
    """A table as TOML text: plain values first, then a section per table and per item of a list of tables."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_section(value)]
    for key, value in table.items():
        if _is_section(value):
            header, parts = (f"[{_key(key)}]", [value]) if isinstance(value, Mapping) else (f"[[{_key(key)}]]", value)
            for part in parts:
                lines += ["", header, *(f"{_key(name)} = {_value(item)}" for name, item in part.items())]
    return "\n".join(lines).lstrip() + "\n"


def _is_section(value: Any) -> bool:
    tables = isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping) or tables


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)  # numbers; Python writes them as TOML does, inf and nan included
