"""`espalier estimate`: which ways of training fit into memory, before a weight is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier import console
from espalier.cli.arguments import guessed, named, recipe_of, take_apart
from espalier.cli.options import Columns, Data, Model
from espalier.errors import RecipeError

if TYPE_CHECKING:
    from espalier.estimating import Estimate, Outlook

USAGE = "[METHOD | RECIPE.toml] [OPTIONS] [NAME=VALUE]..."
ESTIMATE: dict[str, Any] = {
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
    "options_metavar": USAGE,
}
DEVICES = ("cpu", "cuda")


def estimate(
    ctx: typer.Context,
    model: Model = None,
    data: Data = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What there is, as 24GB; what is free here unless told.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda", help="Where it would run, also if that is not here.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(metavar="NAME", help="The adapter that is looked at: lora.")] = None,
    columns: Columns = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Say which ways of training fit into memory.

    It reads the model's config and the rows, no weights: all weights or an adapter, the base in 4 bits or not,
    activations kept or computed again. METHOD and the other options are those of `espalier train`.
    """
    if device not in (None, *DEVICES):
        raise RecipeError(f"--device {device}: no such device. Known: {', '.join(DEVICES)}.")
    given = named(model=model, data=data, adapter=adapter, columns=columns, out="-")
    recipe = recipe_of(guessed(take_apart(ctx.args), given), given)
    from espalier import estimating

    wanted = estimating.parse_memory(memory) if memory is not None else None
    outlook = estimating.Outlook.of(recipe, device=device)
    if wanted is None and outlook.machine is None:
        raise RecipeError(f"there is no {outlook.device} here whose memory could be looked at. Say how much: --memory.")
    limit = wanted if wanted is not None else estimating.available(outlook.device)
    found = list(estimating.estimates(outlook))
    if as_json:
        print(json.dumps([_plain(one, limit) for one in found], indent=1))
    else:
        show(outlook, found, limit)


def show(outlook: Outlook, found: list[Estimate], limit: float) -> None:
    """The table, what fits, and how sure that is."""
    from espalier.estimating import GB
    from espalier.evaluation.wording import duration

    out, plan = console.make(), outlook.plan
    longest = max(plan.store.tokens(int(n)) for n in plan.numbers)
    facts: list[console.Fact] = [
        ("model", f"{plan.place.model}: {found[0].parameters / 1e6:,.1f}M parameters"),
        ("rows", f"{len(plan.numbers):,} to train on, the longest {longest:,} tokens; {plan.steps:,} steps, "
                 f"{outlook.tokens:,.0f} tokens"),
        ("memory", f"{limit / GB:.1f} GB, {outlook.device}; {outlook.budget:,} tokens computed at once"),
    ]  # fmt: skip
    console.facts(out, facts)
    out.print()
    rows = [["", "trained", "memory", "", "tokens/s", "time", "what to type"]]
    for one in found:
        speed, took = ("-", "-") if one.seconds is None else (f"{one.tokens_per_second:,.0f}", duration(one.seconds))
        fits = "fits" if one.memory <= limit else "no"
        rows.append(
            [one.way.name, _count(one.trained), f"{one.memory / GB:.1f} GB", fits, speed, took, one.way.options]
        )
    console.table(out, rows, right=(1, 2, 4, 5))
    out.print()
    out.print(verdict(found, limit), soft_wrap=True)
    out.print(
        "memory: within 15 % and 0.3 GB where it was measured. time: within a factor of three, alone on this machine."
    )


def verdict(found: list[Estimate], limit: float) -> str:
    """What fits, or the nearest that would."""
    from espalier.estimating import GB

    fitting = [one for one in found if one.memory <= limit]
    if fitting:
        return f"{len(fitting)} of {len(found)} fit into {limit / GB:.1f} GB."
    least = min(found, key=lambda one: one.memory)
    return (
        f"Nothing fits into {limit / GB:.1f} GB. The nearest is {least.way.name}, with {least.memory / GB:.1f} GB; "
        "shorter rows (--max-tokens), fewer tokens at once (--tokens-per-piece) or a smaller model need less."
    )


def _count(weights: int) -> str:
    return f"{weights / 1e6:,.1f}M" if weights < 1e9 else f"{weights / 1e9:,.2f}B"


def _plain(one: Estimate, limit: float) -> dict[str, object]:
    from espalier.estimating import GB

    return {
        "way": one.way.name, "options": one.way.options, "trained": one.trained, "parameters": one.parameters,
        "memory_gb": round(one.memory / GB, 2), "fits": one.memory <= limit,
        "tokens_per_second": one.tokens_per_second and round(one.tokens_per_second, 1),
        "hours": one.seconds and round(one.seconds / 3600, 2),
    }  # fmt: skip
