"""The catalogue: a method's folder and file name are its address, and no list is edited to add one.

`addresses` and `cards` import no method; `load` imports the one that is asked for; `build` makes a table of options
(TOML, the command line, Python) into the method, and `options` makes the method into that table again.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from espalier.cards import PACKAGE as ROOT
from espalier.cards import Card, first_sentence, read_card
from espalier.errors import RecipeError, unknown
from espalier.tables import Table, make, plain

FAMILIES = (
    "objectives", "adapters", "optimizers", "embedders", "retrievers", "expanders", "rerankers", "rag", "reasoning",
    "synthesis", "selection", "judges", "rewards", "quality",
)  # fmt: skip

T = TypeVar("T")


def method(*, paper: str) -> Callable[[type[T]], type[T]]:
    """Mark the one class of a file as its method; folder and file name are its address.

    Args:
        paper: where the method comes from: "arXiv:2305.18290", a DOI or a URL; empty if nowhere.
    """

    def mark(cls: type[T]) -> type[T]:
        parameters = vars(cls).get("__dataclass_params__")
        if parameters is None or not parameters.frozen:
            raise TypeError(f"{cls.__qualname__}: a method is a frozen dataclass, its fields are its options")
        package, _, name = cls.__module__.partition(".")
        ours = package == ROOT.name and name.partition(".")[0] in FAMILIES
        address = name.replace(".", "/") if ours else f"{cls.__module__}:{cls.__qualname__}"
        type.__setattr__(cls, "card", Card(address, first_sentence(cls.__doc__ or ""), paper))
        return cls

    return mark


def addresses(family: str | None = None) -> list[str]:
    """Every address (of one family), without importing a single method."""
    folders = [name for name in FAMILIES if family in (None, name)]
    files = [(name, file.stem) for name in folders for file in (ROOT / name).glob("*.py")]
    return sorted(f"{name}/{stem}" for name, stem in files if not stem.startswith("_"))


def cards(family: str | None = None) -> list[Card]:
    """The card of every method (of one family), read from its file."""
    return [card(address) for address in addresses(family)]


def card(address: str) -> Card:
    """The card at an address; a method from outside the package is imported for it."""
    address = resolve(address)
    if _outside(address):
        cls = load(address)
        address, file, name = address_of(cls), Path(inspect.getfile(cls)), cls.__name__
        found = read_card(file, address, name)
    else:
        found = read_card(ROOT / f"{address}.py", address)
    if found is None:
        raise RecipeError(f"{address}: the file has no class marked @method(paper=...).")
    return found


def resolve(name: str, family: str | None = None) -> str:
    """The whole address of a method: an address, a unique bare name (of a family), or a dotted path from outside."""
    known = addresses(family)
    if _outside(name) or name in known:
        return name
    kind = f"method of {family}" if family else "method"
    if "/" in name:
        raise RecipeError(unknown(kind, name, known))
    matches = [address for address in known if address.partition("/")[2] == name]
    if len(matches) > 1:
        raise RecipeError(f"several methods are named {name!r}: {', '.join(matches)}. Write one of them in full.")
    if not matches:
        raise RecipeError(unknown(kind, name, {address.partition("/")[2] for address in known}))
    return matches[0]


def load(address: str, family: str | None = None) -> type[Any]:
    """The method class at an address; only its own file is imported.

    From outside the package: "package.module" with one method in it, "package.module:Class" or "package.module.Class".
    """
    address = resolve(address, family)
    if not _outside(address):
        module = importlib.import_module(f"{ROOT.name}.{address.replace('/', '.')}")
        return _only(address, module)
    name, _, cls = address.partition(":")
    found = _import(name)
    if found is None and not cls and "." in name:
        name, _, cls = name.rpartition(".")
        found = _import(name)
    if found is None:
        raise RecipeError(f"no module for the method {address!r}. Install it, or add its folder to PYTHONPATH.")
    return _only(address, found, cls)


def _outside(name: str) -> bool:
    return "." in name or ":" in name


def _import(name: str) -> ModuleType | None:
    """A module, or None where there is none of that name; what fails inside it is not caught."""
    if not name or name.startswith("."):
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        return None


def _only(address: str, module: ModuleType, name: str = "") -> type[Any]:
    methods = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__ and _card(v)]
    if name:
        methods = [cls for cls in methods if cls.__name__ == name]
    if not methods:
        raise RecipeError(f"{address}: {module.__name__} has no {name or 'class'} marked @method(paper=...).")
    if len(methods) > 1:
        names = ", ".join(cls.__name__ for cls in methods)
        raise RecipeError(f"{address}: several methods ({names}). Write {module.__name__}:{methods[0].__name__}.")
    return methods[0]


def _card(cls: type) -> Card | None:
    """A class's own card: a subclass of a method is not that method."""
    found = vars(cls).get("card")
    return found if isinstance(found, Card) else None


def address_of(built: object) -> str:
    """The address of a method, given the class or an object of it."""
    cls = built if isinstance(built, type) else type(built)
    found = _card(cls)
    if found is None:
        raise RecipeError(f"{cls.__qualname__} is not a method: its class is not marked @method.")
    return found.address


def build(table: Mapping[str, Any], family: str | None = None) -> Any:
    """The object a table describes: `{"method": "objectives/dpo", "beta": 0.2}` becomes `DPO(beta=0.2)`.

    Raises:
        RecipeError: for a method or option that does not exist, a value of the wrong type, a required option left out.
    """
    name = table.get("method")
    if not isinstance(name, str):
        raise RecipeError(f'a method\'s table needs method = "..."; this one has {", ".join(table) or "nothing"}.')
    cls = load(name, family)
    return make(cls, {key: value for key, value in table.items() if key != "method"}, address_of(cls), build)


def options(built: object) -> Table:
    """The table of a method, `build`'s opposite; an option that is None both by default and by value is left out."""
    address_of(built)
    table: Table = plain(built, lambda part: found.address if (found := _card(type(part))) else None)
    return table
