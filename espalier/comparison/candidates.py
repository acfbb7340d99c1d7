"""Candidates: what is compared, as it stands on the command line, and what each is called.

dpo ipo                       two objectives
dpo dpo:beta=0.5              the same objective with a setting of its own
--vary beta=0.1,0.5           one setting with several values; several of these are combined
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from espalier.errors import RecipeError

LENGTH = ("epochs", "max_steps")  # settings that say how long to train
TAKEN = ("recipes", "rows", "measured", "start")  # names in the folder of a comparison
MOST = 100  # candidates
COMMA = re.compile(r',(?![^\[]*\])(?=(?:[^"]*"[^"]*")*[^"]*$)')  # neither in brackets nor in quotes


@dataclass(frozen=True)
class Candidate:
    """One of those compared: an objective or a recipe, with settings of its own as "name=value"."""

    name: str
    what: str
    settings: tuple[str, ...] = ()

    @property
    def own_length(self) -> bool:
        """Whether it says itself how long it trains, and so is not stopped where the others are."""
        return any(_short(setting) in LENGTH for setting in self.settings)


def expand(words: Sequence[str], varied: Sequence[str]) -> list[Candidate]:
    """Every candidate, in the order of the words, and for each word in that of the values.

    Args:
        words: "dpo", "recipe.toml", "dpo:beta=0.5,learning_rate=1e-5".
        varied: "objective.beta=0.05,0.1,0.5".

    Raises:
        RecipeError: there are not two, or one stands twice.
    """
    choices = list(product(*map(_values, varied)))
    found = []
    for word in words:
        what, own = _own(word)
        for values in choices:
            settings = (*own, *values)
            names = [_short(setting) for setting in settings]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise RecipeError(f"{word}: {twice!r} is set twice. Vary it, or set it for this candidate.")
            found.append(Candidate(_name(what, settings), what, settings))
    if len(found) < 2:
        raise RecipeError(
            "nothing to compare with. Name two objectives or more, or values of a setting: --vary beta=0.1,0.5."
        )
    if len(found) > MOST:
        raise RecipeError(f"{len(found)} candidates are more than the {MOST} one comparison takes. Vary less.")
    _distinct([candidate.name for candidate in found])
    return found


def _own(word: str) -> tuple[str, tuple[str, ...]]:
    """What a candidate is, and its own settings."""
    what, *rest = re.split(r":(?=[\w.-]+=)", word, maxsplit=1)
    settings = tuple(re.split(r",(?=[\w.-]+=)", rest[0])) if rest else ()
    if any(setting.endswith("=") for setting in settings):
        raise RecipeError(f"{word!r}: a candidate's own settings are name=value, for example {what}:beta=0.5.")
    return what, settings


def _values(text: str) -> list[str]:
    """The settings in "beta=0.1,0.5"; a comma in brackets or quotes is part of a value."""
    name, equals, values = text.partition("=")
    found = [part.strip() for part in COMMA.split(values)]
    if not name or not equals or not all(found) or len(set(found)) < 2 or len(set(found)) < len(found):
        raise RecipeError(
            f"--vary {text}: write a setting and two different values or more, as in --vary beta=0.1,0.5."
        )
    return [f"{name.strip().replace('-', '_')}={value}" for value in found]


def _short(setting: str) -> str:
    """The bare name of a setting: "objective.beta=0.5" is about beta."""
    return setting.partition("=")[0].rpartition(".")[2].replace("-", "_")


def _name(what: str, settings: Sequence[str]) -> str:
    """A name for a folder and a table: dpo-beta-0.5."""
    base = Path(what).stem if what.endswith(".toml") else what.rpartition("/")[2].rpartition(".")[2]
    parts = [base, *(f"{_short(setting)}-{setting.partition('=')[2]}" for setting in settings)]
    return "-".join(filter(None, (re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts)))


def _distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two candidates are called {name!r}. Name each once, or give them different settings.")
        if name in TAKEN:
            raise RecipeError(f"a candidate cannot be called {name!r}: the comparison keeps files of its own there.")
