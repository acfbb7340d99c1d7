"""The contracts: what the parts of Espalier promise each other. The file to read first.

A *row* is a dict with the field's own names. A *method* is a frozen dataclass in a file of its own whose fields are
its options. An *objective* turns rows into trees, trees into a forest, and pieces of the forest into a loss:

    row --plant--> Tree      once per row, without a model
    trees --prepare--> Forest    once per optimizer batch over all ranks, before it is cut; nothing has a gradient
    piece --loss--> Loss     any piece; named totals, which the loop divides by counts known before the first backward
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from espalier.render import Renderer
    from espalier.trees.forest import Forest
    from espalier.trees.tree import Tree


class Row(dict[str, Any]):
    """One row of data: `prompt completion chosen rejected label messages text weight`, and whatever else it carries.

    `where` says where it came from ("pairs.jsonl, row 17"), for the sentence that names it.
    """

    where: str = "row"

    def __init__(self, fields: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), where: str = "row", **more: Any):
        super().__init__(fields, **more)
        self.where = where


@dataclass(frozen=True)
class Term:
    """One named part of a loss: a total over the piece's examples (or tokens), and its weight."""

    total: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Loss:
    """Named totals of one piece. The loop back-propagates sum(weight * total / count) with counts of the whole batch.

    `metrics` are per-example values [examples], reported as means and never differentiated.
    """

    terms: dict[str, Term]
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Tensor, **metrics: Tensor) -> Loss:
        """A loss of one term, `loss`, from one value per example. [examples]"""
        return cls({"loss": Term(values.sum())}, {name: value.detach() for name, value in metrics.items()})


# Roles: what an objective declares beside the policy. Data only; the loop makes, moves, clips and checkpoints them.


@dataclass(frozen=True)
class Frozen:
    """The policy as it was at step 0 of this run."""

    live: bool = False  # kept beside the cache of its answers, for it is asked more than that holds


@dataclass(frozen=True)
class Ema:
    """A moving copy: anchor <- (1 - rate) * anchor + rate * policy after each step."""

    rate: float = 0.02


@dataclass(frozen=True)
class Copy:
    """A copy refreshed every so many steps: ref <- mix * policy + (1 - mix) * ref."""

    every: int = 512
    mix: float = 0.6


@dataclass(frozen=True)
class Scalar:
    """A head that gives one number per completion, read at its last token, in place of the head over tokens."""


class Step(Protocol):
    """What `prepare` is handed besides trees and models: where we are, chance, the reference cache, the other ranks."""

    number: int
    generator: torch.Generator

    def reference_logps(self, forest: Forest, models: Models) -> Tensor:
        """Log-probabilities under the reference, one per counted token of each completion. [tokens]"""
        ...

    def sum_over_ranks(self, value: float) -> float:
        """The sum of a number over all ranks."""
        ...


class Scored(Protocol):
    """A model as objectives see it: log-probabilities of the completions of a forest."""

    @property
    def device(self) -> torch.device: ...
    @property
    def longest(self) -> int | None: ...  # tokens of the longest row it was made for; None where there is no limit

    def token_logps(self, forest: Forest) -> Tensor:
        """log p(token | everything before it), one per counted token of each completion, in nats, float32. [tokens]"""

    def completion_logps(self, forest: Forest) -> Tensor:
        """The same, summed over each completion's counted tokens. [completions]"""

    def answers(self, forest: Forest, functionals: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
        """Those log-probabilities as "logps", and by name further functions of each token's logits. [tokens]"""
        ...

    def scores(self, forest: Forest) -> Tensor:
        """What a `Scalar` head gives at each completion's last token, float32. [completions]"""
        ...


class Models(Protocol):
    """The policy and the roles an objective declared, by name."""

    policy: Scored

    def __getattr__(self, name: str) -> Scored: ...


class Objective(Protocol):
    """A training objective: see the module docstring. `needs` names the row fields it reads."""

    def plant(self, row: Row, render: Renderer) -> Tree | None: ...
    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest: ...
    def loss(self, models: Models, piece: Forest) -> Loss: ...


@dataclass(frozen=True)
class Moment:
    """Where training is, as an adapter is told: which optimizer step, of how many, and chance that all ranks share."""

    number: int
    steps: int
    generator: torch.Generator


class Adapter(Protocol):
    """A way to train few parameters: `attach` changes the model in place or wraps it and returns it.

    A subclass needs no more than that; the other hooks do nothing by default. Virtual tokens before every root are no
    hook but a part of the model (`espalier.models.virtual`), for a saved adapter is opened without its recipe.
    """

    starts_at_base: ClassVar[bool] = True  # right after `attach` the model answers as it did before
    rate: ClassVar[float] = 1.0  # times the learning rate of a preset, which is LoRA's
    shares: ClassVar[bool] = True  # can be trained with its weights shared out over the ranks

    def attach(self, model: nn.Module) -> nn.Module: ...

    def groups(self, named: Sequence[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
        """The trained parameters as groups for the optimizer, each with its own `relative_lr` if it is not 1."""
        return [{"params": list(named)}]

    def before_step(self, model: nn.Module, moment: Moment) -> None:
        """Called before each optimizer step's first piece."""
        return

    def penalty(self, model: nn.Module) -> Tensor | None:
        """A further term of the loss, once per optimizer step; it depends on no example."""
        return None

    def after_backward(self, model: nn.Module, moment: Moment) -> None:
        """Called when the optimizer has stepped, while the gradients are still there."""
        return


@dataclass(frozen=True)
class Sample:
    """One sampled completion: text, token ids, log-probability of each token when sampled, and how it ended."""

    text: str
    ids: tuple[int, ...] = ()
    logps: tuple[float, ...] = ()
    ended: bool = True  # by an end token rather than by the length limit
    tokens: tuple[str, ...] = ()  # the text of each token that has a log-probability; together they are the text


Prompt = str | Sequence[Mapping[str, Any]]  # plain text, or messages


class LM(Protocol):
    """A language model that answers."""

    def complete(self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256,
                 seed: int = 0) -> list[str]: ...  # fmt: skip
    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> list[float]: ...
    def sample(self, prompts: Sequence[Prompt], *, n: int = 1, temperature: float = 1.0, max_tokens: int = 256,
               seed: int = 0) -> list[list[Sample]]: ...  # fmt: skip


class Embedder(Protocol):
    """Texts in, vectors out; a query may be prepared otherwise than the passages it is to find."""

    @property
    def name(self) -> str: ...  # what an index remembers: vectors of another embedder are not compared with these

    def embed(self, texts: Sequence[str], *, query: bool = False) -> np.ndarray[Any, Any]:
        """One vector for each text, float32, of length 1. [texts, H]"""


@dataclass(frozen=True)
class Part:
    """What one stage of a search said of a hit."""

    stage: str  # "bm25", "dense", "upr"
    rank: int  # from 1
    score: float


@dataclass(frozen=True)
class Hit:
    """One retrieved document, or a passage of one: its id, its score (higher is better) and its text."""

    document: str
    score: float
    text: str = ""
    title: str = ""
    start: int = 0  # where in the document the text begins
    place: str = ""  # where that is for a reader: "page 3", "slide 2"; empty where a document has no such parts
    parts: tuple[Part, ...] = ()  # the stages that it came through, where there are several


class Retriever(Protocol):
    """Queries in, documents out, best first."""

    def search(self, query: str, k: int) -> list[Hit]: ...

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """Why a hit has its score: named amounts, the largest first; they add up to it where the method is a sum."""


@dataclass(frozen=True)
class Scores:
    """One number per row; `None` where the scorer could not say: missing is never zero."""

    values: tuple[float | None, ...]
    reasons: tuple[str, ...] = ()


class Scorer(Protocol):
    """Reward, judge, reranker, data filter and metric: candidates in, a number each out; one `group` competes."""

    def score(self, rows: Sequence[Row]) -> Scores: ...


@dataclass(frozen=True)
class Citation:
    """A quote an answer rests on, and where it stands: document.text[start:end], if it was found there."""

    quote: str
    document: str = ""
    start: int = 0
    end: int = 0
    verified: bool = False  # found in a passage that the model was shown
    place: str = ""  # "page 3", as its `Hit` has it


@dataclass(frozen=True)
class Answer:
    """What a strategy answers: the text, the quotes it rests on, what it was shown, how it got there, what it took."""

    text: str
    citations: tuple[Citation, ...] = ()
    trace: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()  # the passages that the model was shown, best first
    spent: Mapping[str, int] = field(default_factory=dict)  # calls, prompt_tokens, completion_tokens, searches


class Strategy(Protocol):
    """A way to answer one question."""

    def solve(self, question: str) -> Answer: ...


@runtime_checkable
class Curator(Protocol):
    """Rows in, rows out, lazily; what it drops it counts with its reason."""

    def curate(self, rows: Iterable[Row]) -> Iterator[Row]: ...
