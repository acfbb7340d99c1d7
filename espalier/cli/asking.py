"""`espalier ask`: a question to an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from espalier.cli.options import Dtype, Model, Threads
from espalier.cli.serving import Lm, LmKey, Set, With
from espalier.errors import RecipeError
from espalier.settings import Settings, answering


def ask(
    kb: Annotated[Path, typer.Argument(metavar="KB", help="What `espalier index` made.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes.")],
    model: Model = None,
    start: Annotated[str | None, typer.Option("--from", metavar="RUN", help="The model that this run made.")] = None,
    lm: Lm = None,
    pipeline: With = "",
    settings: Set = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each passage stands where it does.")] = False,
    k: Annotated[int, typer.Option("--k", min=1, metavar="N", help="How many passages are read.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer.")] = 256,
    lm_key_variable: LmKey = None,
    dtype: Dtype = "auto",
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask an index a question, and see the sources.

    A model answers from the passages that fit best, and each sentence it quotes is looked up in the documents. Without
    a model these passages are shown.
    """
    if model is not None and start is not None:
        raise RecipeError("--model and --from both name the model that answers. Give one of them.")
    if start is not None and lm is not None:
        raise RecipeError("--from and --lm both name what answers. Give one of them.")
    model, lm = answering(model or start, lm, Settings.read())
    from espalier.cli.answers import Reading
    from espalier.cli.answers import ask as answered

    reading = Reading(model, lm, pipeline, settings or (), lm_key_variable, dtype, explain)
    answered(kb, question, reading, k=k, max_tokens=max_tokens, as_json=as_json)
