"""Answers to questions on the terminal: a model's with its sources, or the passages that fit best."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.analysis import Analyzer
from espalier.console import visible
from espalier.contracts import LM, Answer, Citation, Hit, Retriever
from espalier.errors import RecipeError
from espalier.knowledge.store import Store
from espalier.lexical import known
from espalier.pipelines import Pipeline

NOTHING = "No passage has a word of the question."
EXPLAINED = 8  # amounts that say why a hit has its score


@dataclass(frozen=True)
class Reading:
    """How an index is searched, and who reads what is found."""

    model: str | None = None  # a run, an adapter, a model folder or a hub id
    lm: str | None = None  # or the address of a server
    pipeline: str = ""
    settings: Sequence[str] = ()  # of its parts
    key_variable: str | None = None  # with the server's key
    dtype: str = "auto"
    explain: bool = False


def ask(kb: Path, question: str, reading: Reading, *, k: int, max_tokens: int, as_json: bool = False) -> None:
    """Answer and print.

    Args:
        kb: an index.
        question: what is asked.
        reading: how; where nobody reads, passages are shown as they are.
        k: how many passages.
        max_tokens: longest reply.
        as_json: print one object instead.

    Raises:
        RecipeError: the question is empty, or nobody was named whom the pipeline asks.
    """
    if not question.strip():
        raise RecipeError(f"the question is empty. Write it in quotes: {console.command('ask', kb, 'Your question?')}")
    pipeline = Pipeline.parse(reading.pipeline, reading.settings)
    if pipeline.asks and reading.model is None and reading.lm is None:
        raise RecipeError(f"{pipeline.name}: a part of it asks a language model; name it with --model or --lm.")
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(kb))
        if not pipeline.asks:
            pipeline.retriever(store)  # what cannot be searched is said before a model is loaded
        lm = _reader(stack, reading)
        retriever = pipeline.retriever(store, lm)
        screen = Screen(console.make(), question, retriever, Analyzer.of(str(known(store).get("analyzer"))), reading)
        if lm is not None:
            found = screen.answered(pipeline, lm, k=k, max_tokens=max_tokens, quiet=as_json)
        else:
            found = screen.searched(retriever.search(question, k), quiet=as_json)
            if not as_json and found["passages"]:
                named = f"{console.command('ask', kb, question)} --model MODEL"
                said = f"No model was named, so nothing was answered. To have one read these: {named}"
                screen.out.print(Text(said, "dim"), soft_wrap=True)
    if as_json:
        print(json.dumps({"question": question, **found}, ensure_ascii=False, indent=1))


def _reader(stack: ExitStack, reading: Reading) -> LM | None:
    from espalier.answering import Answering

    name = reading.lm or reading.model
    if name is None:
        return None
    return stack.enter_context(Answering(key_variable=reading.key_variable, dtype=reading.dtype)).open(name)


@dataclass
class Screen:
    """Where answers and passages are shown."""

    out: Console
    question: str
    retriever: Retriever
    analyzer: Analyzer | None
    reading: Reading

    def searched(self, hits: Sequence[Hit], *, quiet: bool) -> dict[str, Any]:
        """Passages as they stand; the same as a table."""
        if not quiet and not hits:
            self.out.print(NOTHING)
        for number, hit in enumerate(() if quiet else hits, 1):
            title = (visible(hit.title or hit.document), "bold")
            where = visible(_where(hit.document, hit.place, hit.start, hit.start + len(hit.text)))
            self.out.print(Text.assemble(f"[{number}] ", title, f"  {where}"), soft_wrap=True)
            shown = marked(hit.text, self._matches(hit), color=self.out.color_system is not None)
            console.indented(self.out, shown, 4)
            self._explain(hit)
            self.out.print()
        return {"passages": [{**self._table(hit), "matches": self._matches(hit)} for hit in hits]}

    def answered(self, pipeline: Pipeline, lm: LM, *, k: int, max_tokens: int, quiet: bool) -> dict[str, Any]:
        """A model's answer, streamed where it can be, then its sources; everything, as a table."""
        from espalier.serve.solving import solve

        said: list[str] = []

        def say(piece: str) -> None:
            piece = piece if said else piece.lstrip()
            said.append(piece)
            if not quiet:
                self.out.file.write(visible(piece))
                self.out.file.flush()

        def note(sentence: str) -> None:
            if not quiet:
                self.out.print(Text(f"note: {sentence}", "dim"))

        answer = solve(
            pipeline.solver(self.retriever, lm, k=k, max_tokens=max_tokens), lm, self.question, say, note=note
        )
        if not quiet:
            if answer.hits or said:
                self.out.file.write("\n" if said else f"{visible(answer.text)}\n")
            print_sources(self.out, answer)
            for hit in answer.hits if self.reading.explain else ():
                self.out.print(Text(f"\n{visible(hit.title or hit.document)}", "bold"), soft_wrap=True)
                self._explain(hit)
        told = {name: value for name, value in asdict(answer).items() if name != "hits"}
        return {**told, "passages": list(map(self._table, answer.hits))}

    def _matches(self, hit: Hit) -> list[tuple[int, int]]:
        return self.analyzer.matches(self.question, hit.text) if self.analyzer is not None else []

    def _explain(self, hit: Hit) -> None:
        """Why a passage stands where it does: what each stage said, and what its score is made of."""
        for line in self._reasons(hit) if self.reading.explain else ():
            console.indented(self.out, Text(visible(line), "dim"), 4)

    def _reasons(self, hit: Hit) -> list[str]:
        stages = [f"{part.stage}: rank {part.rank}, score {part.score:.4g}" for part in hit.parts]
        amounts = [f"{name} {amount:.3g}" for name, amount in self.retriever.explain(self.question, hit)[:EXPLAINED]]
        return [*stages, f"score {hit.score:.4g}{': ' if amounts else ''}{', '.join(amounts)}"]

    def _table(self, hit: Hit) -> dict[str, Any]:
        more = {"explanation": self.retriever.explain(self.question, hit)} if self.reading.explain else {}
        return {**asdict(hit), **more}


def print_sources(out: Console, answer: Answer) -> None:
    """What the answer quotes, and whether it is there; without quotes, what was shown to the model."""
    if not answer.hits:
        out.print(NOTHING)
    for number, citation in enumerate(answer.citations, 1):
        out.print(Text.assemble(f"\n[{number}] ", *_place(citation)), soft_wrap=True)
        console.indented(out, Text(f'"{visible(citation.quote)}"'), 4)
    if answer.hits and not answer.citations:
        out.print(Text("\nno source is quoted; shown were:", "dim"))
        for hit in answer.hits:
            where = _where(hit.document, hit.place, hit.start, hit.start + len(hit.text))
            out.print(Text(f"    {visible(where)}", "dim"), soft_wrap=True)


def _place(citation: Citation) -> list[tuple[str, str]]:
    if not citation.verified:
        return [("NOT FOUND IN THE TEXT", "bold red")]
    where = _where(citation.document, citation.place, citation.start, citation.end)
    return [(visible(where), "bold"), ("  verified", "green")]


def marked(text: str, spans: Sequence[tuple[int, int]], *, color: bool) -> Text:
    """A text with stretches in bold or, without color, between asterisks."""
    found, done = Text(), 0
    for start, end in spans:
        word = visible(text[start:end])
        found.append(visible(text[done:start]))
        found.append(word if color else f"**{word}**", "bold green" if color else "")
        done = end
    return found.append(visible(text[done:]))


def _where(document: str, place: str, start: int, end: int) -> str:
    return ", ".join(filter(None, (document, place, f"characters {start:,} to {end:,}")))
