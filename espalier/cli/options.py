"""Options and arguments that several verbs have, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from espalier.cli.arguments import use_threads

Model = Annotated[str | None, typer.Option(metavar="MODEL", help="A model folder or a Hugging Face id.")]
Data = Annotated[str | None, typer.Option(metavar="ROWS", help="A file or folder of rows, or a dataset's id.")]
Start = Annotated[
    str | None, typer.Option("--from", metavar="RUN", help="Start at this run's result, which is also the reference.")
]
Columns = Annotated[
    str | None, typer.Option(metavar="FIELD=COLUMN,...", help="Which column of the rows is which field.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Read only so many rows.")]
Against = Annotated[str | None, typer.Option(metavar="TARGET", help="Compare with this: `base`, or another target.")]
Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="A run, an adapter, a model folder or a Hugging Face id.")
]
Dtype = Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16, or auto: measured on this machine.")]
Threads = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="CPU threads; the physical cores.", callback=use_threads)
]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
