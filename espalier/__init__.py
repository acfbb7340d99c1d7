"""Espalier: build data, tune, align, judge, measure and serve open language models on one set of rails."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espalier.api import check, compare, curate, evaluate, train

__all__ = ["check", "compare", "curate", "evaluate", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The verbs, imported when they are asked for: torch takes a second."""
    if name in __all__:
        return getattr(importlib.import_module("espalier.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Verb(ModuleType):
    """A package that is also a verb: `espalier.train` is the folder of the loop, and trains when it is called."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What `espalier.api` has under this name."""
        return getattr(importlib.import_module("espalier.api"), self.__name__.rpartition(".")[2])(*arguments, **options)
