"""JSON Lines and JSON, told apart by their content: `.json` files are often lines, and the other way round."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espalier.formats.fields import Fields, Malformed, encodable
from espalier.formats.text import bad_bytes, open_text, plain_suffix

Numbered = Iterator[tuple[int, Fields | Malformed]]

_LIST = re.compile(r"\s*\[\s*(\{|\]|$)")
_CONTAINERS = ("data", "examples")
_GAP = re.compile(r"[\s,]*")


def read_json(path: Path) -> Numbered:
    """Rows one a line, or a list, or an object that holds a list under "data" or "examples"."""
    with open_text(path) as file:
        first, second, *_ = itertools.chain(itertools.islice(filter(str.strip, file), 2), ("", ""))
    if _parses(first) and second:
        return _lines(path)
    if _LIST.match(first):
        return _list(path)
    whole = _parses(first) or (plain_suffix(path) == ".json" and not _parses(second))
    return _document(path) if first.lstrip().startswith("{") and whole else _lines(path)


def _lines(path: Path) -> Numbered:
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _object(line) if encodable(line) else bad_bytes(file)


def _list(path: Path) -> Numbered:
    """The elements one after another, so that a file that breaks off still gives those before the break."""
    with open_text(path) as file:
        text = file.read()
    decoder, position = json.JSONDecoder(), text.index("[") + 1
    for number in itertools.count(1):
        gap = _GAP.match(text, position)
        start = gap.end() if gap else position
        if text.startswith("]", start):
            return
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as problem:
            yield number, Malformed("bad JSON", f"the rest cannot be read: {problem}")
            return
        yield number, _checked(value) if encodable(text[start:position]) else bad_bytes(file)


def _document(path: Path) -> Numbered:
    with open_text(path) as file:
        whole = _object(file.read())
    if isinstance(whole, Malformed):
        yield 1, whole
        return
    lists = [whole[name] for name in _CONTAINERS if isinstance(whole.get(name), list)]
    found = lists[0] if lists else [whole]
    yield from ((number, _checked(value)) for number, value in enumerate(found, 1))


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _object(text: str) -> Fields | Malformed:
    try:
        return _checked(json.loads(text))
    except (ValueError, RecursionError) as problem:
        return Malformed("bad JSON", str(problem))


def _checked(value: Any) -> Fields | Malformed:
    return value if isinstance(value, dict) else Malformed("not an object", f"a JSON {type(value).__name__}")
