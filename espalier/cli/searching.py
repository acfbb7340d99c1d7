"""`espalier search`: the passages that a pipeline finds, with the score and rank of every stage, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.console import visible
from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.evaluation.wording import number

SHOWN = 12  # lines of an explanation
NOTHING = "Nothing was found."

Why = tuple[tuple[str, float], ...]


def search(
    kb: Path,
    query: str,
    *,
    pipeline: str = "bm25",
    settings: Sequence[str] = (),
    model: str | None = None,
    k: int = 5,
    explain: bool = False,
    as_json: bool = False,
    dtype: str = "auto",
) -> None:
    """Search and print.

    Args:
        kb: an index.
        query: what is searched for.
        pipeline: a retriever with rewriting and rerankers: "hybrid+upr".
        settings: options of its parts: "rm3.terms=20".
        model: what its parts ask, if one does.
        k: how many passages.
        explain: say why each passage has its score.
        as_json: print one object instead.
        dtype: what a model computes in.

    Raises:
        RecipeError: the query is empty, the pipeline answers, or it asks a model and none is named.
    """
    from espalier.answering import Answering
    from espalier.knowledge.store import Store
    from espalier.pipelines import Pipeline

    if not query.strip():
        raise RecipeError(f"the query is empty. Write it in quotes: {console.command('search', kb, 'words')}")
    found = Pipeline.parse(pipeline, settings)
    if found.strategy is not None:
        answers = console.command("ask", kb, query, "--with", pipeline)
        raise RecipeError(f"{pipeline} answers questions; search with its other parts, or ask: {answers}")
    if found.asks and model is None:
        raise RecipeError(f"{pipeline} asks a language model; name it with --model.")
    with Store.open(kb) as store, ExitStack() as stack:
        lm = stack.enter_context(Answering(dtype=dtype)).open(model) if model and found.asks else None
        retriever = found.retriever(store, lm)
        hits = retriever.search(query, k)
        whys = [retriever.explain(query, hit) if explain else () for hit in hits]
    if as_json:
        passages = [
            asdict(hit) | ({"explain": dict(why)} if explain else {}) for hit, why in zip(hits, whys, strict=True)
        ]
        print(json.dumps({"query": query, "pipeline": found.name, "passages": passages}, ensure_ascii=False, indent=1))
        return
    out = console.make()
    if not hits:
        out.print(NOTHING)
    for rank, (hit, why) in enumerate(zip(hits, whys, strict=True), 1):
        print_hit(out, rank, hit, why)


def print_hit(out: Console, rank: int, hit: Hit, why: Why) -> None:
    """One passage: where it stands, its score, what each stage said of it, and its text."""
    place = f", {hit.place}" if hit.place else ""
    where = f"{hit.document}{place}, characters {hit.start:,} to {hit.start + len(hit.text):,}"
    title = (visible(hit.title or hit.document), "bold")
    out.print(Text.assemble(f"[{rank}] ", title, f"  {visible(where)}"), soft_wrap=True)
    stages = " \u00b7 ".join(f"{part.stage} {number(part.score)}, rank {part.rank}" for part in hit.parts)
    out.print(Text(f"    score {number(hit.score)}{f'  ({stages})' if stages else ''}", "dim"), soft_wrap=True)
    if why:
        lines = [(visible(name), number(amount)) for name, amount in why[:SHOWN]]
        console.table(out, [["   ", name, amount, ""] for name, amount in lines], right=(2,))
        if len(why) > SHOWN:
            out.print(Text(f"    and {len(why) - SHOWN} more", "dim"))
    console.indented(out, Text(visible(hit.text)), 4)
    out.print()
