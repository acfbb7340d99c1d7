"""`espalier ask`: a question to an index: a model's answer with its sources, or the passages that fit it best."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.console import visible
from espalier.contracts import Answer, Citation, Hit
from espalier.errors import RecipeError
from espalier.knowledge.store import Store
from espalier.lexical import LexicalIndex

NOTHING = "No passage has a word of the question."


def ask(
    kb: Path, question: str, *, model: str | None, k: int, max_tokens: int, dtype: str = "auto", as_json: bool
) -> None:
    """Answer and print.

    Args:
        kb: an index.
        question: what is asked.
        model: a run, an adapter, a model folder or a hub id that reads the passages; None shows them as they are.
        k: how many passages.
        max_tokens: longest reply.
        dtype: what to compute in.
        as_json: print one object instead.

    Raises:
        RecipeError: the question is empty.
    """
    if not question.strip():
        raise RecipeError(f"the question is empty. Write it in quotes: {console.command('ask', kb, 'Your question?')}")
    out = console.make()
    with Store.open(kb) as store:
        index = LexicalIndex.open(store)
        if model is not None:
            found = _answered(out, index, question, model, k=k, max_tokens=max_tokens, dtype=dtype, quiet=as_json)
        else:
            hits = index.search(question, k)
            found = {
                "passages": [{**asdict(hit), "matches": index.analyzer.matches(question, hit.text)} for hit in hits]
            }
            if not as_json and not hits:
                out.print(NOTHING)
            elif not as_json:
                print_passages(out, index, question, hits)
                named = f"{console.command('ask', kb, question)} --model MODEL"
                said = f"No model was named, so nothing was answered. To have one read these: {named}"
                out.print(Text(said, "dim"), soft_wrap=True)
    if as_json:
        print(json.dumps({"question": question, **found}, ensure_ascii=False, indent=1))


def _answered(
    out: Console, index: LexicalIndex, question: str, model: str, *, quiet: bool, k: int, max_tokens: int, dtype: str
) -> dict[str, Any]:
    """Stream a model's reply, then its sources; everything, as a table."""
    from espalier.lm.local import Local
    from espalier.rag.retrieve_then_read import RetrieveThenRead
    from espalier.run import load

    loaded = load(model, dtype=dtype)
    lm = Local(loaded.policy, loaded.renderer)
    reader = RetrieveThenRead(lm, index, k=k, max_tokens=max_tokens)
    asked = reader.ask(question)
    if asked.note and asked.hits and not quiet:
        out.print(Text(f"note: {asked.note}", "dim"))
    reply = ""
    if asked.hits:
        pieces = lm.stream(asked.prompt, temperature=0.0, max_tokens=max_tokens)
        reply = "".join(pieces) if quiet else _streamed(out, pieces)
    answer = reader.conclude(asked, reply)
    if not quiet:
        print_sources(out, answer, asked.hits)
    return {**asdict(answer), "passages": list(map(asdict, asked.hits))}


def _streamed(out: Console, pieces: Iterator[str]) -> str:
    said = ""
    for piece in pieces:
        piece = piece if said else piece.lstrip()
        said += piece
        out.file.write(visible(piece))
        out.file.flush()
    out.file.write("\n")
    return said


def print_sources(out: Console, answer: Answer, hits: Sequence[Hit]) -> None:
    """What the answer quotes, and whether it is there; without quotes, what was shown to the model."""
    if not hits:
        out.print(NOTHING)
    for number, citation in enumerate(answer.citations, 1):
        out.print(Text.assemble(f"\n[{number}] ", *_place(citation)), soft_wrap=True)
        console.indented(out, Text(f'"{visible(citation.quote)}"'), 4)
    if hits and not answer.citations:
        out.print(Text("\nno source is quoted; shown were:", "dim"))
        for hit in hits:
            out.print(
                Text(f"    {visible(_where(hit.document, hit.start, hit.start + len(hit.text)))}", "dim"),
                soft_wrap=True,
            )


def _place(citation: Citation) -> list[tuple[str, str]]:
    if not citation.verified:
        return [("NOT FOUND IN THE TEXT", "bold red")]
    return [(visible(_where(citation.document, citation.start, citation.end)), "bold"), ("  verified", "green")]


def print_passages(out: Console, index: LexicalIndex, question: str, hits: Sequence[Hit]) -> None:
    """Passages as they stand, with the words of the question marked."""
    for number, hit in enumerate(hits, 1):
        where = _where(hit.document, hit.start, hit.start + len(hit.text))
        out.print(
            Text.assemble(f"[{number}] ", (visible(hit.title or hit.document), "bold"), f"  {visible(where)}"),
            soft_wrap=True,
        )
        matches = index.analyzer.matches(question, hit.text)
        console.indented(out, marked(hit.text, matches, color=out.color_system is not None), 4)
        out.print()


def marked(text: str, spans: Sequence[tuple[int, int]], *, color: bool) -> Text:
    """A text with stretches in bold or, without color, between asterisks."""
    found, done = Text(), 0
    for start, end in spans:
        word = visible(text[start:end])
        found.append(visible(text[done:start]))
        found.append(word if color else f"**{word}**", "bold green" if color else "")
        done = end
    return found.append(visible(text[done:]))


def _where(document: str, start: int, end: int) -> str:
    return f"{document}, characters {start:,} to {end:,}"
