"""A small part of Go's text/template, enough to render what `ollama` writes and to compare it with the chat template.

Text, {{ value }}, range, if, else if, else, end, := and the functions eq, len, slice, and, or, not; `-` trims.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ACTION = re.compile(r'\{\{(-\s)?\s*((?:"(?:\\.|[^"\\])*"|[^"}]|\}(?!\}))*?)\s*(\s-)?\}\}')
WORD = re.compile(r'"(?:\\.|[^"\\])*"|\(|\)|:=|,|[^\s(),:]+')
Scope = dict[str, Any]
Node = Callable[[Any, Scope], str]  # the dot, and the variables

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "eq": lambda first, *rest: any(first == other for other in rest),
    "len": len,
    "slice": lambda items, start=0, end=None: items[start:end],
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "not": lambda value: not value,
}


def quoted(text: str) -> str:
    """A text as a Go string."""
    return json.dumps(text, ensure_ascii=False)


class GoTemplate:
    """A parsed template.

    Raises:
        ValueError: it uses what is not known here.
    """

    def __init__(self, source: str):
        self._parts = _parts(source)
        self._nodes, end = self._block()
        if end:
            raise ValueError(f"unexpected {end!r}")

    def render(self, **data: Any) -> str:
        """The text, for values by name."""
        scope: Scope = {"$": data}
        return "".join([node(data, scope) for node in self._nodes])

    def _block(self) -> tuple[list[Node], str]:
        """Nodes up to an else or an end, and that action."""
        nodes: list[Node] = []
        for kind, text in self._parts:
            if kind == "text":
                nodes.append(lambda dot, scope, text=text: text)  # type: ignore[misc]
                continue
            head, _, rest = text.partition(" ")
            if head in ("else", "end"):
                return nodes, text
            if head == "range":
                nodes.append(self._range(rest))
            elif head == "if":
                nodes.append(self._if(rest))
            elif ":=" in WORD.findall(text):
                nodes.append(_assign(text))
            else:
                value = _value(text)
                nodes.append(lambda dot, scope, value=value: str(value(dot, scope)))  # type: ignore[misc]
        return nodes, ""

    def _if(self, condition: str) -> Node:
        test = _value(condition)
        then, end = self._block()
        other: list[Node] = []
        if end.startswith("else if "):
            other = [self._if(end.removeprefix("else if "))]
        elif end == "else":
            other, end = self._block()
        return lambda dot, scope: "".join(node(dot, scope) for node in (then if test(dot, scope) else other))

    def _range(self, header: str) -> Node:
        names, _, over = header.rpartition(":=")
        items, (index, element) = _value(over), (*(name.strip() for name in names.split(",")), "", "")[:2]
        body, _ = self._block()

        def run(dot: Any, scope: Scope) -> str:
            found = []
            for number, item in enumerate(items(dot, scope)):
                inner = scope | {index: number, element: item}
                found += [node(item, inner) for node in body]
            return "".join(found)

        return run


def _parts(source: str) -> Iterator[tuple[str, str]]:
    """Texts and actions in turn, trimmed as the actions ask."""
    at, trims = 0, False
    for action in ACTION.finditer(source):
        text = source[at : action.start()]
        text = text.lstrip() if trims else text
        yield "text", text.rstrip() if action[1] else text
        yield "action", action[2].strip()
        at, trims = action.end(), bool(action[3])
    yield "text", source[at:].lstrip() if trims else source[at:]


def _assign(text: str) -> Node:
    name, _, rest = text.partition(":=")
    value = _value(rest)

    def run(dot: Any, scope: Scope) -> str:
        scope[name.strip()] = value(dot, scope)
        return ""

    return run


def _value(text: str) -> Callable[[Any, Scope], Any]:
    """An expression: a value, or a function of values."""
    words = WORD.findall(text)

    def evaluate(dot: Any, scope: Scope) -> Any:
        rest = iter(words)

        def group() -> Any:
            found: list[Any] = []
            for word in rest:
                if word == ")":
                    break
                found.append(group() if word == "(" else _word(word, dot, scope))
            return found[0](*found[1:]) if callable(found[0]) else found[0]

        return group()

    return evaluate


def _word(word: str, dot: Any, scope: Scope) -> Any:
    if word[0] == '"' or word.isdigit():
        return json.loads(word)
    if word in FUNCTIONS:
        return FUNCTIONS[word]
    start, *names = word.split(".")
    if start and start not in scope:
        raise ValueError(f"{word!r} is not known here")
    found = scope[start] if start else dot
    for name in filter(None, names):
        found = found[name]
    return found
