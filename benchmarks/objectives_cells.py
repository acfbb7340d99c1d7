"""What is measured of the objectives: a cell is one training, a section is what stands together on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Literal

from benchmarks.objectives_rows import Rows, digest
from espalier.catalogue import load
from espalier.models.load import load_config
from espalier.planning import faster
from espalier.run import locate

OBJECTIVES = (
    "sft", "dpo", "ipo", "kto", "orpo", "cpo", "simpo", "slic", "robust_dpo", "dpo_norm", "hinge_norm", "ld_dpo",
    "f_dpo", "rpo", "tr_dpo", "unlikelihood",
)  # fmt: skip
RATES = (5e-5, 2e-4, 5e-4)  # beside the preset's
SEEDS = (0, 1)
LEVELS = (0.0, 0.2, 0.4)  # shares of pairs that are turned around
FEW, MANY = 250, 1000  # thumbs
CONDITIONS = ((FEW, 1.0, 0.0), (FEW, 10.0, 0.0), (FEW, 10.0, 0.2), (MANY, 10.0, 0.2))
THUMB_RATES = (2e-4, 1e-3)
FLIPPED_RATE = 5e-4
SCORE_RATES = (1e-4, 5e-4, 2e-3)
UNTOLD = 0.1  # label smoothing where no pair is turned around
COSTS = (("dpo", "cached"), ("dpo", "live"), ("orpo", "cached"), ("kto", "cached"), ("tr_dpo", "cached"))
REAL = ("hh_harmless_dev", "alpaca_eval_pref_dev")
REAL_RATE = 5e-4
LONGEST = 384  # tokens of a real prompt with one of its answers; longer pairs are left out
YARDSTICKS = ("bag of words", "longer", "MiniLM")

Sections = dict[str, dict[str, "Cell"]]


@dataclass(frozen=True)
class Size:
    """How much of everything: the whole measurement, or a quick look."""

    pairs: int = 256
    prompts: int = 160  # sampled once each
    held_out: int = 100  # pairs whose order is asked for
    real: int = 400  # real pairs to train a reward model on, at most

    @classmethod
    def quick(cls) -> Size:
        """Seconds a cell."""
        return cls(pairs=96, prompts=60, held_out=60, real=48)


@dataclass(frozen=True)
class Cell:
    """One training: an objective on rows, with options of a recipe.

    Attributes:
        objective: its name; "start" is the model before training.
        rows: what it learns from.
        options: of the objective or the run, above the preset `small`.
        adapter: LoRA; else every weight is trained.
        figures: what is measured after it: samples and pairs, time and memory alone, or a reward model's accuracy.
        data: real pairs instead of the world's, by their file's name.
    """

    objective: str
    rows: Rows
    options: Mapping[str, Any] = field(default_factory=dict)
    adapter: bool = True
    figures: Literal["behavior", "costs", "scores"] = "behavior"
    data: str = ""

    def described(self) -> dict[str, Any]:
        """Everything that decides what comes out, but for the model."""
        if self.objective in ("start", *YARDSTICKS):
            return asdict(self)
        method: Any = load(f"objectives/{self.objective}")
        presets = {**method.presets["small"], "learning_rate": rate_of(self.objective), **self.options}
        return {**asdict(self), "options": {"seed": 0, **presets}}

    def key(self, size: Size) -> str:
        """What tells it from other cells."""
        return digest(self.described(), asdict(size))


def rate_of(objective: str) -> float:
    """The learning rate that its preset `small` gives a model of sprout's width."""
    method: Any = load(f"objectives/{objective}")
    scale = faster(load_config(locate("sprout").model))
    return float(f"{method.presets['small']['learning_rate'] * scale:.2g}")


def trained(objective: str, rows: Rows, **options: Any) -> Cell:
    """A cell whose policy reads as many completion tokens as those of pairs do: SFT reads one side of each twice."""
    twice = {"epochs": 2.0} if objective == "sft" and rows.kind == "pairs" else {}
    return Cell(objective, rows, {**twice, **options})


def sections(size: Size) -> Sections:
    """Every section, its cells by label."""
    pairs = Rows(n=size.pairs)
    each = {name: trained(name, pairs, learning_rate=rate_of(name)) for name in OBJECTIVES}
    rates = {
        f"{name} {rate:g}": trained(name, pairs, learning_rate=rate)
        for name in OBJECTIVES
        for rate in sorted({*RATES, rate_of(name)})
    }
    return {
        "start": {"start": Cell("start", pairs)},
        "objectives": each,
        "thumbs": _thumbs(),
        "flipped": _flipped(size),
        "scores": _scores(size),
        "costs": _costs(),
        "rates": rates,
    }


def _thumbs() -> dict[str, Cell]:
    """KTO against SFT on the liked, balanced and not, with thumbs turned around and not."""
    found = {}
    for n, imbalance, noise in CONDITIONS:
        for seed in SEEDS if n == FEW else SEEDS[:1]:
            for objective, rate in product(("kto", "sft"), THUMB_RATES):
                rows = Rows("thumbs" if objective == "kto" else "liked", n, noise, imbalance, seed=seed)
                label = f"{objective} {rate:g} | {condition(n, imbalance, noise)} | {seed}"
                found[label] = Cell(objective, rows, {"learning_rate": rate, "seed": seed})
    return found


def condition(n: int, imbalance: float, noise: float) -> str:
    """In words."""
    return f"{n:,} thumbs, {imbalance:g} up to 1 down, {noise:.0%} turned around"


def _flipped(size: Size) -> dict[str, Cell]:
    """DPO, DPO with label smoothing and robust DPO; the latter are told how many pairs are turned around."""
    found = {}
    for noise, seed in product(LEVELS, SEEDS):
        told = {"label_smoothing": noise or UNTOLD}
        for label, objective, options in (
            ("dpo", "dpo", {}),
            ("cdpo", "dpo", told),
            ("robust_dpo", "robust_dpo", told),
        ):
            rows = Rows(n=size.pairs, noise=noise, seed=seed)
            how = {"learning_rate": FLIPPED_RATE, "seed": seed, **options}
            found[f"{label} | {noise:.0%} turned around | {seed}"] = Cell(objective, rows, how)
    return found


def _costs() -> dict[str, Cell]:
    """Time and memory of a few steps, with the reference cached or live, of an adapter and of every weight."""
    found = {}
    for adapter, seed in product((True, False), SEEDS):
        for objective, reference in COSTS:
            how = {"learning_rate": 1e-5, "seed": seed, "reference": reference}
            label = f"{objective} {reference} | {'LoRA' if adapter else 'every weight'} | {seed}"
            found[label] = Cell(objective, Rows(n=64), how, adapter, "costs")
    return found


def _scores(size: Size) -> dict[str, Cell]:
    """Reward models on the world's pairs of a sure and of a doubtful judge, and on real pairs with their yardsticks."""
    found = {}
    for temperature, rate in product((0.0, 1.0), SCORE_RATES):
        rows = Rows(n=size.pairs, temperature=temperature)
        label = f"world | {temperature:g} | {rate:g}"
        found[label] = Cell("reward_model", rows, {"learning_rate": rate}, figures="scores")
    for data, judge in product(REAL, ("bag of words", "longer", "MiniLM", "reward_model")):
        options = {"learning_rate": REAL_RATE} if judge == "reward_model" else {}
        found[f"{data} | {judge}"] = Cell(judge, Rows(n=0), options, figures="scores", data=data)
    return found
