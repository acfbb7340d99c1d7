"""`espalier index`, `search` and `ask`: what they take; a folder of documents, and questions to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from espalier.cli.options import Dtype, Model, Threads
from espalier.cli.serving import Lm, LmKey, Set, With
from espalier.errors import RecipeError
from espalier.settings import Settings, answering


def index(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Documents: text, PDF, Office files, HTML, JSONL rows ...")
    ],
    out: Annotated[Path | None, typer.Option(metavar="KB", help="The index: one file, outside the folder.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Longest passage: 700 characters, or 200 tokens.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="What a passage repeats of the one before: 0.")
    ] = None,
    chunker: Annotated[str | None, typer.Option(metavar="NAME", help="structure, sentence or fixed.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="MODEL", help="Count sizes in this model's tokens.")] = None,
    retriever: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Kept beside bm25: tf_idf, dense, hybrid, postgres. May be repeated."),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="minilm, a folder, a hub id, or http://HOST/v1:MODEL.")
    ] = None,
    k1: Annotated[
        float | None, typer.Option("--k1", metavar="X", help="BM25: how much repetition counts: 0.9.")
    ] = None,
    b: Annotated[float | None, typer.Option("--b", metavar="X", help="BM25: how much length counts: 0.4.")] = None,
) -> None:
    """Make a folder of documents searchable.

    The same command again reads only what has changed, and goes on if it was stopped. The folder is never written.
    """
    from espalier.cli.indexing import index as indexed

    indexed(
        folder, out, size=size, overlap=overlap, chunker=chunker, tokens=tokens, retrievers=retriever or (),
        embedder=embedder, k1=k1, b=b,
    )  # fmt: skip


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


def search(
    kb: Annotated[Path, typer.Argument(metavar="KB", help="What `espalier index` made.")],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="In quotes.")],
    pipeline: With = "",
    settings: Set = None,
    model: Model = None,
    k: Annotated[int, typer.Option("--k", min=1, metavar="N", help="How many passages.")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each passage has its score.")] = False,
    dtype: Dtype = "auto",
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Search an index, and see every stage's rank and score."""
    from espalier.cli.searching import search as searched

    searched(
        kb, query, pipeline=pipeline, settings=settings or (), model=model, k=k, explain=explain, as_json=as_json,
        dtype=dtype,
    )  # fmt: skip
