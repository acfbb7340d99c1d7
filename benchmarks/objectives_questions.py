"""What the page on objectives answers: thumbs, pairs turned around, what a reference costs, reward models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.objectives_cells import (
    CONDITIONS,
    COSTS,
    FLIPPED_RATE,
    LEVELS,
    LONGEST,
    REAL,
    THUMB_RATES,
    UNTOLD,
    condition,
)
from benchmarks.objectives_figures import Entries, Record, Reward, between, known, share, told

THUMBS = """## Does KTO live with few, lopsided and wrong thumbs?

KTO on all thumbs against SFT on the liked ones, the same reviews, LoRA, one pass, at two learning rates each. Rewards
are means over seeds of rows and training; the difference is that of each one's better rate, paired by prompt.
"""
FLIPPED = f"""## Pairs turned around

DPO against robust DPO and DPO with label smoothing (cDPO), which are told the share of pairs that is turned around
({UNTOLD:g} where there is none); learning rate {FLIPPED_RATE:g}, means over seeds.
"""
COST = """## What does a reference cost?

Four steps of 16 pairs. *Cached*: the reference's log-probabilities are computed once before training; *live*: at every
step. A cached reference is no model in memory, and with LoRA a live one is the same weights with the adapter off; a
copy is kept only where every weight is trained and the reference is live, as KTO's always is. So beside LoRA an
objective without a reference saves the time of one pass, and no memory. *Memory* is what the process grew by at the
peak, in MB: the mean, and the lowest and highest of the seeds; less than they differ by says nothing.
"""
SCORES = f"""## Reward models

`reward_model` on sprout, LoRA. On the world's pairs, a *sure* judge always chooses the better review; a *doubtful* one
errs as Bradley and Terry say, at temperature 1, so that even the exact reward agrees with the judge only so often: the
best that can be. On real pairs: a quarter held back, those of one prompt kept together, pairs beyond {LONGEST} of
sprout's tokens left out. The bag of words is a logistic regression on the answers' words and pairs of words; MiniLM
the same on frozen sentence embeddings (a bidirectional encoder, which `espalier train` does not take); *longer* says
that the longer answer is better.
"""


def thumbs(entries: Entries, start: Record) -> str:
    """KTO against SFT on the liked, by condition."""
    rows = ["| rows | method | rate | reward | change | seeds | KL | whole |", "|---|---|---|---|---|---|---|---|"]
    verdicts = []
    for asked in CONDITIONS:
        better: dict[str, Reward] = {}
        for method in ("kto", "sft"):
            for rate in THUMB_RATES:
                found = seeds(entries, f"{method} {rate:g} | {condition(*asked)}")
                if not found:
                    continue
                reward = Reward.of(found)
                better[method] = max(reward, better.get(method, reward), key=Reward.mean)
                change = between(reward.less(Reward.of([start])), sign=True)
                cells = [condition(*asked), method, f"{rate:g}", f"{reward.mean():.2f}", change, reward.spread()]
                rows.append("| " + " | ".join([*cells, *_text(found)]) + " |")
        if len(better) == 2:
            verdicts.append(_lives(condition(*asked), better, Reward.of([start])))
    return "\n".join([THUMBS, *rows, "", *verdicts]) if verdicts else ""


def seeds(entries: Entries, label: str) -> list[Record]:
    """The cells of a label, one for each seed."""
    return [entry for name, entry in known(entries).items() if name.rpartition(" | ")[0] == label]


def _text(found: Sequence[Record]) -> list[str]:
    """KL and the share of whole samples."""
    return [f"{np.mean([entry['kl'] for entry in found]):.1f}", share("".join(entry["whole"] for entry in found))]


def _lives(words: str, better: dict[str, Reward], start: Reward) -> str:
    alive, gap = better["kto"].less(start), better["kto"].less(better["sft"])
    lives = "KTO raises the reward" if alive.low > 0 else "whether KTO raises the reward cannot be said"
    lives = "KTO lowers the reward" if alive.high < 0 else lives
    beats = "it beats SFT on the liked" if gap.low > 0 else "SFT on the liked beats it" if gap.high < 0 else "no winner"
    return f"- {words}: {lives}, {between(alive, sign=True)}; against SFT {between(gap, sign=True)}: {beats}."


def flipped(entries: Entries, start: Record) -> str:
    """DPO and its robust relatives by the share of pairs turned around."""
    rows = ["| turned around | method | reward | seeds | against DPO | pairs | KL | whole |", "|---" * 8 + "|"]
    for noise in LEVELS:
        plain = seeds(entries, f"dpo | {noise:.0%} turned around")
        for method in ("dpo", "cdpo", "robust_dpo"):
            found = seeds(entries, f"{method} | {noise:.0%} turned around")
            if not found or not plain:
                continue
            reward = Reward.of(found)
            gap = "" if method == "dpo" else between(reward.less(Reward.of(plain)), sign=True)
            pairs = share("".join(entry["pairs"] for entry in found))
            cells = [f"{noise:.0%}", method, f"{reward.mean():.2f}", reward.spread(), gap, pairs]
            rows.append("| " + " | ".join([*cells, *_text(found)]) + " |")
    return "\n".join([FLIPPED, *rows]) if len(rows) > 2 else ""


def costs(entries: Entries) -> str:
    """Time and memory, with and without a reference."""
    rows = ["| trained | objective | reference | time | of it reference | memory |", "|---" * 6 + "|"]
    peaks = {}
    for trained in ("LoRA", "every weight"):
        for objective, reference in COSTS:
            found = seeds(entries, f"{objective} {reference} | {trained}")
            if not found:
                continue
            peak = [entry["peak"] for entry in found]
            if len(peak) > 1:  # of one seed nobody knows how far it lies from the next
                peaks[trained, objective, reference] = float(np.mean(peak))
            time, apart = (np.mean([entry[name] for entry in found]) for name in ("cpu", "reference"))
            spread = f"{min(peak):.0f} to {max(peak):.0f}" if len(peak) > 1 else "one seed"
            memory = f"{np.mean(peak):.0f} ({spread})"
            kept = "none" if objective == "orpo" else "moving" if objective == "tr_dpo" else reference
            rows.append(f"| {trained} | {objective} | {kept} | {time:.1f} s | {apart:.1f} s | {memory} |")
    saved = [
        f"- ORPO, {trained}: peak {peaks[trained, 'orpo', 'cached'] - peaks[trained, *other]:+.0f} MB "
        f"against {other[0]}, {other[1]}."
        for trained in ("LoRA", "every weight")
        for other in COSTS
        if other[0] != "orpo" and {(trained, *other), (trained, "orpo", "cached")} <= peaks.keys()
    ]
    return "\n".join([COST, *rows, "", *saved]) if len(rows) > 2 else ""


def scores(entries: Entries) -> str:
    """Reward models on the world's pairs and on real ones."""
    rows = ["| judge | rate | agrees with the judge | best that can be | right by the exact reward |", "|---" * 5 + "|"]
    real = ["| pairs | judge | agrees with people | n |", "|---" * 4 + "|"]
    for label, entry in known(entries).items():
        first, *rest = label.split(" | ")
        if first in REAL:
            real.append(f"| {first} | {rest[0]} | {told(entry['agreed'])} | {len(entry['agreed'])} |")
        else:
            sure = "sure" if float(rest[0]) == 0 else "doubtful"
            agreed, right = told(entry["agreed"]), told(entry["right"])
            rows.append(f"| {sure} | {rest[1]} | {agreed} | {entry['best']:.2f} | {right} |")
    tables = ["\n".join(table) for table in (rows, real) if len(table) > 2]
    return "\n".join([SCORES, "\n\n".join(tables)]) if tables else ""
