"""`espalier questions`: questions with answers and gold passages, written from an index and looked through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from espalier import console
from espalier.cli.options import Dtype, Threads
from espalier.console import visible
from espalier.errors import RecipeError, RunError, unknown
from espalier.question_forms import LANGUAGES
from espalier.settings import Settings, answering


def questions(
    kb: Annotated[
        Path | None,
        typer.Argument(metavar="KB", help="What `espalier index` made; with --review, a file of questions."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, metavar="N", help="How many questions.")] = 120,
    lm: Annotated[
        str | None,
        typer.Option(
            "--lm",
            "--model",
            metavar="MODEL",
            help="Who writes them: a run, a model folder, a hub id, or http://HOST:PORT/v1:NAME.",
        ),
    ] = None,
    languages: Annotated[
        str | None, typer.Option(metavar="en,ko,...", help="Only about passages in these; all there are.")
    ] = None,
    cross: Annotated[
        str | None, typer.Option(metavar="en:ko,...", help="Also about English passages in Korean, and so on.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="The questions; it must not exist.")] = Path(
        "questions.jsonl"
    ),
    beir: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write a collection in BEIR's form too.")] = None,
    review: Annotated[
        bool, typer.Option("--review", help="Look through them in the browser: accept, edit, refuse.")
    ] = False,
    form: Annotated[
        str,
        typer.Option(metavar="FORM", help="whole: one reply; steps: question, then answer; auto: whole, else steps."),
    ] = "auto",
    tries: Annotated[
        int, typer.Option(min=0, metavar="N", help="Closed-book answers; a question that one gets right is left out.")
    ] = 2,
    temperature: Annotated[float, typer.Option(min=0.0, metavar="X", help="0 takes the likeliest token.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest reply.")] = 256,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the passages that are drawn.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Of the page; 0 takes a free one.")] = 0,
    key_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable with the server's API key.")
    ] = None,
    dtype: Dtype = "auto",
    threads: Threads = None,
) -> None:
    """Write questions, to measure search with.

    Evenly over documents and languages. Left out and counted is what the model answers without the passage, what is
    copied from it, and a quote that it does not have. The same command again goes on where it was stopped.
    """
    from espalier.cli.questions_written import write
    from espalier.cli.reviewing import look_through

    if beir is not None and beir.exists():
        raise RunError(f"{beir} exists; name another folder, or delete it.")
    if review and kb is not None and kb.suffix == ".jsonl":
        if beir is not None:
            raise RecipeError(f"--beir needs the index, for its documents: espalier questions KB --out {kb} --review.")
        look_through(kb, port=port)
        return
    defaults = Settings.read()
    if kb is None and defaults.index is not None:
        defaults.used("index")
        kb = Path(defaults.index)
    if kb is None:
        raise RecipeError("no index given. Name what `espalier index` made: espalier questions docs.kb --lm MODEL.")
    if not (review and out.exists()):  # which is looked through, or gone on with
        name = lm or next(filter(None, answering(None, None, defaults)), None)
        if name is None:
            raise RecipeError("nobody is named who writes questions: --lm MODEL, or --lm http://HOST:PORT/v1:NAME.")
        options = {"form": form, "tries": tries, "temperature": temperature, "max_tokens": max_tokens, "seed": seed}
        drawn = {"languages": codes(languages), "cross": crossings(cross), "seed": seed}
        write(kb, name, n, options, drawn, out=out, key_variable=key_variable, dtype=dtype)
    if review:
        look_through(out, port=port)
    if beir is not None:
        write_collection(beir, out, kb)
        console.facts(console.make(), [("BEIR", visible(str(beir)))])


def codes(text: str | None) -> tuple[str, ...]:
    """Languages, from "en,ko".

    Raises:
        RecipeError: one is not known.
    """
    found = tuple(dict.fromkeys(part.strip().lower() for part in (text or "").split(",") if part.strip()))
    for name in found:
        if name not in LANGUAGES:
            raise RecipeError(unknown("language", name, LANGUAGES))
    return found


def crossings(text: str | None) -> tuple[tuple[str, str], ...]:
    """Languages of passages and of their questions, from "en:ko,ko:en".

    Raises:
        RecipeError: it is not in that form.
    """
    found = []
    for part in filter(None, (text or "").replace(" ", "").split(",")):
        held, _, asked = part.partition(":")
        if not held or not asked or held == asked:
            raise RecipeError(f"--cross {part}: write PASSAGE:QUESTION, as en:ko for Korean questions about English.")
        found.append((codes(held)[0], codes(asked)[0]))
    return tuple(found)


def write_collection(folder: Path, file: Path, kb: Path) -> None:
    """Write questions and the whole index as a collection in BEIR's form."""
    from espalier.formats.beir import write_beir
    from espalier.knowledge.store import Store
    from espalier.rows import read

    rows = list(read(file))
    with Store.open(kb) as store:
        corpus = ((name, "", store.text(name)) for name in store.documents())
        queries = {str(row["id"]): str(row["question"]) for row in rows}
        write_beir(folder, corpus, queries, {str(row["id"]): {str(row["document"]): 1.0} for row in rows})
