"""Columns: under canonical names, with values that are what they say, and with those that are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.formats.fields import Fields, LeftOut, Malformed

_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def parse_pairs(given: Mapping[str, str] | str, name: str, form: str) -> dict[str, str]:
    """A mapping, also from one line of `form`, with commas between."""
    if isinstance(given, Mapping):
        return {str(field): str(value) for field, value in given.items()}
    parsed: dict[str, str] = {}
    for pair in given.split(","):
        field, _, value = (part.strip() for part in pair.partition("="))
        if not field or not value or field in parsed:
            raise RowError(f"{name} {given!r} cannot be read; write {form}, commas between, each field once.")
        parsed[field] = value
    return parsed


def require(row: Row, where: Mapping[str, str]) -> None:
    """Leave out a row that lacks a value asked for; true and false are as in JSON, a list has each of its items."""
    for field, wanted in where.items():
        value = row.get(field)
        values = value if isinstance(value, list | tuple) else [value]
        if wanted not in (str(each).lower() if isinstance(each, bool) else str(each) for each in values):
            raise LeftOut(f"not {field}={wanted}")


def renamed(row: Fields, columns: Mapping[str, str]) -> dict[str, Any]:
    """The row under canonical names, without empty (null) fields."""
    kept = {name: value for name, value in row.items() if name not in columns and name not in columns.values()}
    named = kept | {name: row.get(column) for name, column in columns.items()}
    return {name: value for name, value in named.items() if value is not None}


def known_as(name: str, columns: Mapping[str, str]) -> str:
    """How a column is told to the user."""
    column = columns.get(name, name)
    return name if column == name else f"{column} as {name}"


def label(value: Any, *, mapped: bool) -> Any:
    """True or false. An unmapped label of another sort (a topic, a class) is a column like any other."""
    if mapped or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
        truth = _TRUTH.get(str(value).strip().lower())
        if truth is None:
            raise Malformed("'label' is not true or false", repr(value))
        return truth
    return value


def weight(value: Any) -> float:
    """A number of 0 or more."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise Malformed("'weight' is not a number of 0 or more", repr(value))
    return found
