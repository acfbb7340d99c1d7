"""What stands behind `espalier curate`, understood before anything is opened: the method, its options, the scorer's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from typer.core import TyperCommand

from espalier.catalogue import addresses, build, card, load, resolve
from espalier.cli.arguments import take_apart
from espalier.contracts import Curator
from espalier.errors import RecipeError, unknown

FAMILIES = ("synthesis", "selection")
PARTS = ("lm", "lms", "scorer")  # options of a curator that options of the command line fill


@dataclass(frozen=True)
class Asked:
    """A command line that has been understood."""

    address: str
    options: Mapping[str, Any]  # of the method
    scorer: str | None
    scorer_options: Mapping[str, Any]
    words: tuple[str, ...]  # as it was typed, behind `espalier`

    def built(self, lms: Sequence[Any], scorer: Any) -> Curator:
        """The curator with its models and its scorer.

        Raises:
            RecipeError: it has no use for them, or needs others.
        """
        names = {field.name for field in fields(load(self.address))}
        table: dict[str, Any] = {"method": self.address, **self.options}
        if lms and not names & {"lm", "lms"}:
            raise RecipeError(f"{self.address} asks no model; leave out --lm.")
        if len(lms) > 1 and "lms" not in names:
            raise RecipeError(f"{self.address} asks one model; give --lm once.")
        if scorer is not None and "scorer" not in names:
            raise RecipeError(f"{self.address} has no scorer; leave out --scorer.")
        if not lms and any(option.name == "lm" and option.default is None for option in card(self.address).options):
            raise RecipeError(f"{self.address} asks a model; name it: --lm MODEL, or --lm http://HOST:PORT/v1:NAME.")
        if lms:
            table |= {"lms": tuple(lms)} if "lms" in names else {"lm": lms[0]}
        if scorer is not None:
            table["scorer"] = scorer
        found: Curator = build(table)
        return found


class Checked(TyperCommand):
    """A command that understands its words when it is parsed, which for a stage is before the first stage runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and refuse what cannot be."""
        words = ("curate", *args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            ctx.obj = understood(rest, words, ctx.params)
        return rest


def understood(rest: Sequence[str], words: Sequence[str], given: Mapping[str, Any]) -> Asked:
    """What a command line asks for.

    Args:
        rest: the words that are none of the command's own options.
        words: all of them.
        given: the command's own options.

    Raises:
        RecipeError: a method, an option or a scorer that cannot be.
    """
    from espalier.overrides import read_value
    from espalier.scoring import Nobody, check_scorer

    taken = take_apart(rest)
    if taken.what is None:
        raise RecipeError(f"no method given. Name one of {', '.join(sorted(curators()))}.")
    found = address(taken.what)
    types = {option.name: option.type for option in card(found).options}
    options: dict[str, Any] = {}
    scorer_options: dict[str, Any] = {}
    for name, _, value in (override.partition("=") for override in taken.overrides):
        if name in PARTS:
            raise RecipeError(f"{name!r} is given as --{'scorer NAME' if name == 'scorer' else 'lm MODEL'}.")
        if name.startswith("scorer."):
            scorer_options[name.partition(".")[2]] = read_value(value)
        else:
            options[name] = read_value(value, types.get(name, ""))
    scorer, judge = given["scorer"], given["judge"]
    scorer = "rating" if scorer is None and judge is not None else scorer
    if scorer is not None:
        check_scorer(scorer, judge, scorer_options)
    elif scorer_options:
        raise RecipeError(f"scorer.{min(scorer_options)} is an option of a scorer: name one, --scorer NAME.")
    asked = Asked(found, options, scorer, scorer_options, tuple(words))
    asked.built([Nobody() for _ in given["lm"] or ()], Nobody() if scorer is not None else None)
    return asked


def curators() -> dict[str, str]:
    """The addresses of curators by their short names."""
    return {found.partition("/")[2]: found for family in FAMILIES for found in addresses(family)}


def address(name: str) -> str:
    """The address of a curator of a name, or of one from outside.

    Raises:
        RecipeError: there is none.
    """
    known = curators()
    if name in known or name in known.values():
        return known.get(name, name)
    if ("." in name or ":" in name) and "/" not in name:
        return resolve(name)  # from outside
    raise RecipeError(unknown("method that makes rows", name, known))
