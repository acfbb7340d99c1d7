"""Forgetting: what a tuned model has become worse at, on text that it was not tuned on.

The same text is weighed before the first step and after the last; what is forgotten is

    nats = mean over tokens of log p_before(token) - log p_after(token),      perplexity after / before = exp(nats)

with its interval over rows, drawn again together. Which text that is, is said beside the number:

    rows that are given     `general = ROWS`: the user knows best what must not be lost
    a lesson's rows         a bundled model: what it was taught, about a world that it never met
    its own answers         any other model: what it said itself, at temperature 1, to a short list of everyday prompts

Nobody has the rows that a downloaded model was taught, and a text shipped with this package would be in its training
data, or in a language that it never learned. Its own answers need no data. They are samples of p_before, so the mean
above estimates the divergence KL(before || after) per token: how far the model has *moved*. It is never negative in
expectation, and a move is not yet a loss, which is why it is called that; with rows it is a loss, or a gain.

It is cheap: at most `ROWS` rows of `LONGEST` tokens, and no more tokens than a twentieth of those trained on, but for
the fewest rows from which an interval can be given. Forward passes alone, twice: about a thirtieth of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espalier.contracts import Row
from espalier.errors import ModelError, RowError
from espalier.evaluation.cases import case_of, counted
from espalier.evaluation.compare import FEWEST
from espalier.evaluation.forgetting_prompts import PROMPTS
from espalier.evaluation.likelihood import Likelihood, by_engine
from espalier.evaluation.wording import OWN_ANSWERS
from espalier.lm.local import Local
from espalier.maths.intervals import paired_bootstrap
from espalier.models.load import bundled
from espalier.models.roles import Role
from espalier.render import Rendered, Renderer
from espalier.rows import read
from espalier.world.curriculum import lesson
from espalier.world.facts import World

AUTO, OFF = "auto", "off"
ROWS = 64  # at most
LONGEST = 512  # tokens of a row that are weighed
ANSWER = 24  # tokens of an answer of its own
SHARE = 0.05  # of the tokens that are trained on
LESSONS = {"sprout": "second", "seedling": "seedling"}  # which rows of the bundled models stand for all they know
ENTITIES, SEED = 60, 1  # of the world that those rows are about; the worlds of the recipes have seed 0

GIVEN, TAUGHT, OWN = "general rows", "what it was taught before", OWN_ANSWERS
Table = dict[str, Any]


@dataclass(frozen=True)
class General:
    """A general set: what to call it, and its rows; without rows the model's own answers."""

    what: str
    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, wanted: str, model: str) -> General | None:
        """The set for `general` as a recipe has it: a path, auto or off.

        Raises:
            RowError: the file cannot be read, or none of its rows has a text that can be weighed.
        """
        if wanted == OFF:
            return None
        if wanted != AUTO:
            return cls(GIVEN, _usable(wanted))
        name = Path(model).name
        if name in LESSONS and bundled(name) == model:
            world = World.make(ENTITIES, split="test", seed=SEED)
            return cls(TAUGHT, tuple(lesson(LESSONS[name], world, ROWS, SEED)))
        return cls(OWN)


def _usable(path: str) -> tuple[Row, ...]:
    """The first rows of a file that hold a text, an answer or a conversation."""
    found = [row for row in read(path, limit=4 * ROWS) if _weighed(row)][:ROWS]
    if len(found) < FEWEST:
        raise RowError(
            f"general = {path}: {len(found)} of its rows have a text, an answer or a conversation to weigh; give "
            f"{FEWEST} or more, or general = off."
        )
    return tuple(found)


def _weighed(row: Row) -> bool:
    try:
        return case_of(row).kind in ("text", "completion", "messages")
    except RowError:
        return False


@dataclass
class Forgetting:
    """One run's forgetting: `before` the first step, `after` the last.

    Attributes:
        general: what is weighed.
        tokens: at most so many, but for the fewest rows.
        paths: the rows as token ids, from `before` on.
        problem: why nothing can be weighed; empty where it can.
    """

    general: General
    renderer: Renderer
    seed: int
    tokens: int
    paths: list[Rendered] = field(default_factory=list)
    base: list[Likelihood] = field(default_factory=list)
    problem: str = ""

    def before(self, model: Role) -> None:
        """Weigh the model that the run starts from; its own answers are sampled here."""
        try:
            rows = self.general.rows
            self.paths = self._within(self._planted(rows, model) if rows else self._answers(model))
            self.base = self._weigh(model)
        except (ModelError, RowError) as error:  # no room, no cache: the run itself can still be made
            self.problem = str(error)

    def after(self, model: Role) -> Table:
        """What was forgotten, for evaluation.json; or why that cannot be said."""
        try:
            tuned = [] if self.problem else self._weigh(model)
        except ModelError as error:
            self.problem = str(error)
        if self.problem:
            return {"what": self.general.what, "problem": self.problem}
        return {"what": self.general.what, **forgotten(self.base, tuned, seed=self.seed)}

    def _weigh(self, model: Role) -> list[Likelihood]:
        found = by_engine(model, [[path] for path in self.paths], self.renderer, lambda done: None)
        return [one for (one,) in found]

    def _planted(self, rows: Iterable[Row], model: Role) -> list[Rendered]:
        """Each row's last target as token ids; what lies beyond `LONGEST` is left out, which changes nothing before."""
        longest, paths = min(LONGEST, model.longest or LONGEST), [case_of(row).paths(self.renderer)[-1] for row in rows]
        cut = [Rendered(path.ids[:longest], path.mask[:longest]) for path in paths]
        return [path for path in cut if counted(path)]

    def _answers(self, model: Role) -> list[Rendered]:
        """What the model says itself, token for token as sampled, its end token only where it ended."""
        prompts = [self.renderer.prompt(prompt) for prompt in PROMPTS]
        answers = Local(model, self.renderer).sample_ids(prompts, max_tokens=ANSWER, seed=self.seed)
        pairs = zip(prompts, answers, strict=True)
        return [Rendered.of([(prompt.tolist(), False), (sample.ids, True)]) for prompt, (sample,) in pairs]

    def _within(self, paths: list[Rendered]) -> list[Rendered]:
        """As many as the tokens allow.

        Raises:
            RowError: too few to say anything.
        """
        if len(paths) < FEWEST:
            raise RowError(f"{len(paths)} rows can be weighed, fewer than {FEWEST}")
        ends = np.cumsum([len(path.ids) for path in paths])
        return paths[: max(FEWEST, int((ends <= self.tokens).sum()))]


def forgotten(before: list[Likelihood], after: list[Likelihood], *, seed: int) -> Table:
    """Perplexity per token before and after, and by how much it rose, with 95 % intervals.

    Args:
        before: of each row, by the model that the run started from.
        after: of the same rows, by what it made.
        seed: of the intervals.

    Returns:
        before, after: perplexity. nats, nats_low, nats_high: how much less likely a token became, in nats. change, low,
        high: the same as a fraction of the perplexity before. n rows, tokens; word: lost, gained or cannot say.
    """
    pairs = [np.array([[-one.logp, float(one.tokens or 0)] for one in ones]) for ones in (before, after)]
    nats = paired_bootstrap(pairs[0], pairs[1], seed=seed)
    first, last = (float(np.exp(rows[:, 0].sum() / rows[:, 1].sum())) for rows in pairs)
    word = "lost" if nats.low > 0 else "gained" if nats.high < 0 else "cannot say"
    return {
        "before": first, "after": last, "nats": nats.value, "nats_low": nats.low, "nats_high": nats.high,
        "change": math.expm1(nats.value), "low": math.expm1(nats.low), "high": math.expm1(nats.high),
        "n": len(before), "tokens": int(pairs[0][:, 1].sum()), "word": word,
    }  # fmt: skip
