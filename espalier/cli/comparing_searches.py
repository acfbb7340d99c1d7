"""`espalier compare KB PIPELINE...`: searches, rerankers and ways to read, on the same questions over one index."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from espalier import console
from espalier.cli import STOPPED
from espalier.console import visible
from espalier.errors import RecipeError, unknown
from espalier.evaluation.wording import listed
from espalier.overrides import read_value

if TYPE_CHECKING:
    from espalier.evaluation.searching import Question
    from espalier.evaluation.searching_figures import Compared, Outcomes
    from espalier.evaluation.searching_plan import Plan
    from espalier.pipelines import Pipeline

OURS = b"ESPA"  # at byte 68 of a SQLite file
PLAIN = ["bm25"]


def is_index(word: str) -> bool:
    """Whether a word of the command line names an index."""
    path = Path(word)
    if not path.is_file():
        return path.suffix == ".kb" and not path.is_dir()
    with path.open("rb") as file:
        head = file.read(72)
    return path.suffix == ".kb" or (head.startswith(b"SQLite format 3") and head[68:72] == OURS)


@dataclass(frozen=True)
class Options:
    """What may stand on the command line as --name value or name=value."""

    k: int = 5  # passages that are read
    depth: int = 100  # hits that are looked at
    least: float = 1.0  # the grade from which a document is relevant
    qrels: str | None = None  # judgments of topics
    split: str | None = None  # of a BEIR folder's judgments
    limit: int | None = None  # questions
    judge: str = "words"  # of citations: words, none, or a model
    max_tokens: int = 256  # of a reply
    dtype: str = "auto"
    seed: int = 0

    @classmethod
    def of(cls, words: Sequence[str]) -> tuple[Options, list[str]]:
        """The options, and the settings of parts among them ("upr.max_tokens=64", "set=upr.max_tokens=64").

        Raises:
            RecipeError: there is no such option, or its value is of another kind.
        """
        kinds, found, settings = {one.name: str(one.type) for one in fields(cls)}, {}, []
        for word in words:
            name, _, value = word.removeprefix("set=").partition("=")
            if word.startswith("set=") or "." in name:
                settings.append(word.removeprefix("set="))
            elif name not in kinds:
                raise RecipeError(unknown("option of a comparison of searches", name, [*kinds, "set"]))
            else:
                found[name] = _typed(name, value, kinds[name])
        return cls(**found), settings


def compare_searches(
    words: Sequence[str],
    overrides: Sequence[str],
    *,
    data: str | None,
    model: str | None = None,
    out: str | None = None,
    columns: str | None = None,
    metric: str | None = None,
    answers: bool = True,
    refused: Mapping[str, Any] | None = None,
    go_on: str = "",
) -> int:
    """Ask every pipeline every question, and say what came of it.

    Args:
        words: the index and the pipelines.
        overrides: see `Options`.
        data: the questions: rows, a folder of BEIR, or topics with qrels=FILE.
        model: what reads, and what parts of pipelines ask.
        out: a folder for the results, which the same command goes on in.
        columns: which column of the rows is which field.
        metric: the measure to decide by.
        answers: whether questions are answered where there is a model.
        refused: options of a comparison of training runs that were given, by name.
        go_on: the command that goes on.

    Returns:
        The exit code: 1 where a pipeline is marked, 130 when stopped.
    """
    from espalier.evaluation.searching import Depth
    from espalier.evaluation.searching_plan import Plan, pipelines_of
    from espalier.evaluation.searching_rows import read_questions
    from espalier.knowledge.store import Store
    from espalier.stages.record import locked

    if given := [name for name, value in (refused or {}).items() if value]:
        raise RecipeError(f"{given[0]} is about training; {words[0]} is an index, over which searches are compared.")
    if data is None:
        raise RecipeError("which questions? Name rows with questions and answers: --data QUESTIONS.jsonl.")
    options, settings = Options.of(overrides)
    pipelines = pipelines_of(words[1:] or PLAIN, settings)
    reads = model is not None and answers
    _check(pipelines, model, reads)
    depth = Depth(options.k, options.depth, options.least)
    with Store.open(Path(words[0])) as store, ExitStack() as stack:
        plan = Plan(store, depth, model, reads, options.judge, options.max_tokens)
        if metric is not None and (metric not in plan.measures or plan.measures[metric].better != "higher"):
            raise RecipeError(unknown("measure to decide by", metric, plan.measures))
        qrels = Path(options.qrels) if options.qrels else None
        questions, left_out = read_questions(
            data, store, qrels=qrels, split=options.split, columns=columns, limit=options.limit
        )
        if out is not None:
            stack.enter_context(locked(Path(out), "compare", "--out FOLDER"))
        about = {
            "index": words[0], "questions": f"{len(questions):,} of {data}", "relevance": depth.said, "model": model,
            "left out": "; ".join(f"{count:,} {reason}" for reason, count in left_out.items()),
            "settings": " ".join(settings), **asdict(options),
        }  # fmt: skip
        about = {name: value for name, value in about.items() if value not in (None, "")}
        return _compare(plan, pipelines, questions, about, Path(out) if out else None, metric, go_on)


def _compare(
    plan: Plan,
    pipelines: Sequence[Pipeline],
    questions: Sequence[Question],
    about: Mapping[str, Any],
    out: Path | None,
    metric: str | None,
    go_on: str,
) -> int:
    from espalier.answering import Answering
    from espalier.cli.compared_searches import print_compared
    from espalier.cli.indexing import Reading
    from espalier.evaluation.searching import by_group
    from espalier.evaluation.searching_figures import compared
    from espalier.evaluation.searching_plan import file_of

    screen, outcomes = console.make(), {}
    told = Reading(screen)
    shown = [name for name in ("index", "questions", "left out", "relevance", "model") if name in about]
    console.facts(screen, [(name, visible(str(about[name]))) for name in shown])
    with ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        answering = stack.enter_context(Answering(dtype=about["dtype"]))
        try:
            with told:
                for one in pipelines:
                    file = folder / "questions" / file_of(one)
                    outcomes[one.name] = plan.do(one, questions, file, answering, told.count)
        except KeyboardInterrupt:
            if out is not None and go_on:
                print(f"\ngo on with: {go_on}", file=sys.stderr, flush=True)
            return STOPPED
    found = compared(
        outcomes, plan.measures, by_group(questions), plan.problems, about=about, leading=metric, seed=about["seed"]
    )
    print_compared(screen, found)
    if out is None:
        screen.print("\n--out FOLDER writes all of it, with a page, and goes on there if it is stopped.")
    else:
        _write(screen, found, questions, outcomes, out)
    return 1 if found.problems else 0


def _check(pipelines: Sequence[Pipeline], model: str | None, reads: bool) -> None:
    """Refuse before anything is searched what cannot be done at all."""
    for one in pipelines:
        if one.asks and model is None:
            raise RecipeError(f"{one.name} asks a language model; name it with --model.")
    if not reads and (answering := [one.name for one in pipelines if one.strategy is not None]):
        raise RecipeError(f"{listed(answering)}: answers are wanted of a strategy; leave out --answers 0.")


def _typed(name: str, value: str, kind: str) -> Any:
    """The value of an option."""
    found = value if kind.startswith("str") else read_value(value)
    fits = {"int": int, "float": int | float}.get(kind.partition(" ")[0], str)
    if isinstance(found, bool) or not isinstance(found, fits):
        raise RecipeError(f"{name}={value}: it must be {'a whole number' if 'int' in kind else 'a number'}.")
    if kind.startswith("int") and int(found) < (0 if name == "seed" else 1):
        raise RecipeError(f"{name}={value}: it must be at least 1.")
    return found


def _write(
    screen: Console, found: Compared, questions: Sequence[Question], outcomes: Mapping[str, Outcomes], folder: Path
) -> None:
    """compare.json and compare.html, and where they are."""
    from espalier.evaluation.searching_page import html
    from espalier.run import write_text

    write_text(folder / "compare.json", json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    write_text(folder / "compare.html", html(found, questions, outcomes))
    screen.print()
    page, numbers = str(folder / "compare.html"), str(folder / "compare.json")
    console.facts(screen, [("page", page), ("numbers", numbers), ("each", str(folder / "questions"))])
