"""`espalier sprout`: the invented world, the lessons it gives, and models of random weights to learn them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from espalier.errors import RunError

sprout = typer.Typer(help="Make the world that the bundled models were trained on.", no_args_is_help=True)
Seed = Annotated[int, typer.Option(metavar="N", help="The same seed gives the same files.")]
Out = Annotated[Path, typer.Option(metavar="PATH", help="Where to; it must not exist.")]


@sprout.command()
def world(
    out: Out,
    size: Annotated[int, typer.Option(min=20, metavar="N", help="Entities of each split.")] = 300,
    rows: Annotated[int, typer.Option(min=2, metavar="N", help="Rows of each file.")] = 400,
    seed: Seed = 0,
) -> None:
    """Write documents, questions and rows for every method.

    There are three worlds, train, dev and test, that have no name in common.
    """
    from espalier.world.folder import write_world

    write_world(out, size=size, rows=rows, seed=seed)
    print(f"{out}: train, dev and test worlds of {size} entities each; {out}/test/documents is what there is to read.")


@sprout.command()
def lesson(
    name: Annotated[str, typer.Argument(metavar="LESSON", help="first, second or third.")],
    out: Out,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="How many.")] = 10_000,
    size: Annotated[int, typer.Option(min=20, metavar="N", help="Entities of the world.")] = 12_000,
    seed: Seed = 0,
) -> None:
    """Write the rows of a lesson, about a train world."""
    from espalier.world.beir import write_rows
    from espalier.world.curriculum import lesson as made
    from espalier.world.facts import World

    if out.exists():
        raise RunError(f"{out} exists; name another file, or delete it.")
    found = made(name, World.make(size, seed=seed), rows, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    write_rows(partial, found)
    partial.replace(out)
    print(f"{out}: {len(found):,} rows")


@sprout.command()
def model(
    out: Out,
    like: Annotated[Literal["sprout", "seedling"], typer.Option(help="Whose size.")] = "sprout",
    seed: Seed = 0,
) -> None:
    """Write a model of random weights, with a tokenizer that has learned the words of the world."""
    from espalier.world.folders import new_folder
    from espalier.world.model import SIZES, corpus, make_model

    with new_folder(out) as partial:
        make_model(partial, corpus(seed), SIZES[like], seed=seed)
    print(f"{out}: a model of random weights, of the size of {like}")


@sprout.command()
def pack(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run that trained all weights, or a model folder.")],
    out: Out,
) -> None:
    """Write a trained model as it comes with the package: its weights in bfloat16, half the size."""
    from espalier.world.folders import new_folder
    from espalier.world.model import pack_model

    with new_folder(out) as partial:
        pack_model(str(run), partial)
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir()) / 1e6:.1f} MB")
