"""What scores, by one name: a judge, a rule, a reward model, or the known rewards of the invented world."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from espalier.answering import Answering, is_address
from espalier.catalogue import addresses, build, load
from espalier.contracts import Row, Scorer, Scores
from espalier.errors import RecipeError, unknown
from espalier.verdicts import completion_text

FAMILIES = ("judges", "rewards")
WORLD = ("mood", "politeness")  # scorers of the invented world
JUDGE = "judges/rating"  # what a model that is named as a scorer does


@dataclass(frozen=True)
class Measured:
    """A function of a completion's text, as a scorer."""

    measure: Callable[[str], float]

    def score(self, rows: Sequence[Row]) -> Scores:
        """One number per row."""
        return Scores(tuple(self.measure(completion_text(row)) for row in rows))


class Counted:
    """A scorer that counts: how many completions it scored, and of how many it could not say."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def score(self, rows: Sequence[Row]) -> Scores:
        """What the scorer says."""
        found = self.scorer.score(rows)
        missing = sum(value is None for value in found.values)
        with self._lock:
            self.counts.update(scored=len(rows) - missing, unscored=missing)
        return found


def known() -> list[str]:
    """The short names of scorers, without what is a model."""
    return sorted([*(address.partition("/")[2] for family in FAMILIES for address in addresses(family)), *WORLD])


def check_scorer(name: str, judge: str | None, options: Mapping[str, Any]) -> None:
    """Refuse a scorer that cannot be, without opening a model.

    Args:
        name: as for `open_scorer`.
        judge: the model that a judge asks.
        options: of the scorer.

    Raises:
        RecipeError: it is no name, an option is none of its, or a judge has no model.
    """
    address = _address(name)
    if address is None and name not in WORLD and not _may_be_a_model(name):
        raise RecipeError(unknown("scorer", name, known(), also="A reward model, or a model that judges, will do too."))
    asks = address is not None and _asks(address)
    if asks and judge is None:
        raise RecipeError(f"--scorer {name} asks a model: name it, --judge MODEL.")
    if judge is not None and not asks:
        raise RecipeError(f"--judge names the model that a judge asks, and --scorer {name} asks none.")
    if address is not None:
        build({"method": address, **options, **({"lm": Nobody()} if asks else {})})
    elif options and (name in WORLD):
        raise RecipeError(f"the scorer {name} has no options.")


def open_scorer(name: str, judge: str | None, options: Mapping[str, Any], answering: Answering) -> Scorer:
    """The scorer of a name.

    Args:
        name: a method of judges or rewards (`rating`, `pairwise`, `exact_answer`), a scorer of the invented world, the
            folder of a reward model; or a model or an address, which then rates as judges/rating asks it to.
        judge: the model that a judge asks, by its name or address.
        options: of the scorer.
        answering: opens models.

    Raises:
        EspalierError: there is no such scorer or model.
    """
    check_scorer(name, judge, options)
    if name in WORLD:
        from espalier.world import reviews

        return Measured({"mood": reviews.mood_of, "politeness": reviews.politeness_of}[name])
    address = _address(name)
    if address is None and not is_address(name):
        from espalier.models.scoring import is_scorer, load_scorer

        if is_scorer(name):
            if options:
                raise RecipeError(f"{name} is a reward model, which has no options.")
            answering.alone = True
            return load_scorer(name, dtype=answering.dtype)
    asked = judge if address is not None else name
    table = {"method": address or JUDGE, **options, **({"lm": answering.open(asked)} if asked is not None else {})}
    found: Scorer = build(table)
    return found


def _address(name: str) -> str | None:
    """The address of a method that scores; None where the name is no such method's."""
    known = {address: address for family in FAMILIES for address in addresses(family)}
    return (known | {address.partition("/")[2]: address for address in known}).get(name)


def _asks(address: str) -> bool:
    return "lm" in {field.name for field in fields(load(address))}


def _may_be_a_model(name: str) -> bool:
    """A folder, a hub id, an address, or a model that comes with the package."""
    bundled = Path(__file__).parent / "assets" / name
    return is_address(name) or "/" in name or Path(name).exists() or bundled.is_dir()


class Nobody:
    """In the place of a model or a scorer that is not open yet, while what is built with it is checked."""

    def complete(self, *args: Any, **options: Any) -> Any:
        """It is never asked."""
        raise NotImplementedError

    logprobs = sample = score = complete
