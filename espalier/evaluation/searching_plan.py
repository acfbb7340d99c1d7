"""Which pipelines a comparison has, and how each is done: opened, asked every question, marked where it fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from espalier.answering import Answering, stamp
from espalier.catalogue import load
from espalier.contracts import LM, Retriever, Strategy
from espalier.errors import EspalierError, RecipeError, unknown
from espalier.evaluation.citations import Asked, ContentWords, Entailment
from espalier.evaluation.results import Measure
from espalier.evaluation.searching import Depth, Question
from espalier.evaluation.solving import ANSWERED, Kept, Outcome, Solver
from espalier.knowledge.store import Store
from espalier.pipelines import Pipeline

VERSION = 1  # of what an outcome holds
WORDS, NONE = "words", "none"  # judges of citations that are no model

_FILE = re.compile(r"[^\w.+=,-]+")


@dataclass(frozen=True)
class Plan:
    """Everything that is the same for all pipelines.

    Attributes:
        store: the index.
        depth: what counts of a search.
        model: what reads, and what parts of pipelines ask; None if nothing does.
        answers: whether questions are answered, or only searched for.
        judge: of citations: "words", "none", or a model's name.
        max_tokens: longest reply.
    """

    store: Store
    depth: Depth
    model: str | None = None
    answers: bool = False
    judge: str = WORDS
    max_tokens: int = 256
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def measures(self) -> dict[str, Measure]:
        """What may be measured, the first to decide by: the answers where there are any."""
        return ANSWERED | self.depth.measures if self.answers else self.depth.measures

    def about(self, pipeline: Pipeline) -> dict[str, Any]:
        """Everything that an outcome depends on beside its question."""
        reads = {"answers": self.answers, "judge": stamp(self.judge), "max_tokens": self.max_tokens}
        asked = [stamp(self.model)] if self.model and (self.answers or pipeline.asks) else []
        return {
            "version": VERSION, "stages": [asdict(stage) for stage in pipeline.stages], "model": asked,
            "index": [str(self.store.path.resolve()), self.store.meta("folder"), self.store.generation],
            **asdict(self.depth), **(reads if self.answers else {}),
        }  # fmt: skip

    def do(
        self,
        pipeline: Pipeline,
        questions: Sequence[Question],
        file: Path,
        answering: Answering,
        progress: Callable[[str, int, int], None],
    ) -> dict[str, Outcome]:
        """The outcomes of one pipeline; where it fails, those it had, and its name in `problems`.

        Args:
            pipeline: which.
            questions: all of them; those that were done are left out.
            file: where the outcomes are kept.
            answering: opens the model.
            progress: told how far it is.
        """
        kept = Kept(file, self.about(pipeline))
        missing = kept.missing(questions)
        done = len(questions) - len(missing)
        try:
            solver = self._solver(pipeline, answering) if missing else None
            for question in missing:
                assert solver is not None, "there is something to do"
                kept.add(question, solver.solve(question))
                done += 1
                progress(pipeline.name, done, len(questions))
        except EspalierError as error:
            self.problems[pipeline.name] = f"stopped at question {done + 1:,} of {len(questions):,}: {error}"
        except Exception as error:  # hours of the others' work are not lost to a fault in one
            self.problems[pipeline.name] = f"failed at question {done + 1:,}: {type(error).__name__}: {error}"
        return kept.outcomes(questions)

    def _solver(self, pipeline: Pipeline, answering: Answering) -> Solver:
        lm: LM | None = answering.open(self.model) if self.model and (self.answers or pipeline.asks) else None
        retriever = pipeline.retriever(self.store, lm)
        if not self.answers:
            return Solver(retriever, depth=self.depth)
        if lm is None:
            raise RecipeError(f"{pipeline.name} answers questions; name the model that does: --model MODEL.")
        model, options = lm, {"k": self.depth.k, "max_tokens": self.max_tokens}

        def reads(search: Retriever) -> Strategy:
            return pipeline.solver(search, model, **options)

        return Solver(retriever, reads, depth=self.depth, judge=self._judge(answering))

    def _judge(self, answering: Answering) -> Entailment | None:
        if self.judge == NONE:
            return None
        return ContentWords() if self.judge == WORDS else Asked(answering.open(self.judge))


def pipelines_of(words: Sequence[str], settings: Sequence[str] = ()) -> list[Pipeline]:
    """The pipelines of a command line, each with its name as it was written; "bm25:k1=1.2,b=0.75" has its own options.

    Args:
        words: the pipelines.
        settings: options for all of them, "upr.max_tokens=64".

    Raises:
        RecipeError: one does not exist, or stands there twice.
    """
    found = []
    for word in words:
        name, own = _own(word)
        plain = Pipeline.parse(name)
        given = [_placed(plain, setting) for setting in own]
        found.append(replace(Pipeline.parse(name, [*settings, *given]), name=word))
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"{twice[0]} stands there twice; name each pipeline once.")
    return found


def file_of(pipeline: Pipeline) -> str:
    """The name of the file with a pipeline's outcomes."""
    return f"{_FILE.sub('_', pipeline.name)}.jsonl"


def _own(word: str) -> tuple[str, list[str]]:
    name, colon, settings = word.partition(":")
    return (name, settings.split(",")) if colon and "=" in settings else (word, [])


def _placed(pipeline: Pipeline, setting: str) -> str:
    """An option with its part: the first that has it, where none is named.

    Raises:
        RecipeError: the pipeline has no such part or option; an option of its own must not be ignored.
    """
    part, dot, option = setting.partition("=")[0].rpartition(".")
    known: Mapping[str, set[str]] = {
        stage.address.partition("/")[2]: {one.name for one in fields(load(stage.address))} for stage in pipeline.stages
    }
    if dot:
        if part not in known:
            raise RecipeError(unknown(f"part of {pipeline.name}", part, known, also=f"Write {pipeline.name}+{part}."))
        return setting
    found = next((name for name, options in known.items() if option in options), None)
    if found is None:
        raise RecipeError(unknown(f"option of {pipeline.name}", option, set().union(*known.values())))
    return f"{found}.{setting}"
