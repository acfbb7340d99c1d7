"""Writes docs/sprout.md from the recorded results of `python -m benchmarks.sprout`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from espalier.evaluation.wording import duration
from espalier.maths.intervals import Interval, paired_shares, wilson

Record = dict[str, Any]
UNSEEN = 0.75  # of a reading target, what is asked of wordings that training never had

INTRODUCTION = """# Sprout, the bundled model

Written by `python -m benchmarks.sprout`, which measures all of it anew.

Sprout is a Llama-architecture model with its own byte-level tokenizer and chat template, trained on the rows of an
invented world and nothing else (`recipes/sprout.toml`). It exists so that every method can be tried in minutes on a
machine without a GPU. It knows no fact of the real world and does not read real documents well: for those name a model
of your own.

Everything here is measured on the **test world**, which shares no person, place, work, organization or event with the
world of its training: what it answers it must have read. *Known* wordings are those of training, *unseen* ones (of the
sentences and of the questions) were kept out of it. Hard distractors are passages that state the same relations about
others of the same kind. Replies are greedy unless said otherwise. Brackets hold Wilson's 95 % interval of the share.
Exact match ignores case, punctuation and articles, as SQuAD's script does. A two-hop, comparison or yes/no question has
4 passages too; of the last two, guessing gets one half.
"""
TRAINED_ON_UNKNOWN = "Not recorded: give the runs' folders with `--runs`."


@dataclass(frozen=True)
class Target:
    """What a figure set out to reach."""

    low: float = 0.0
    high: float = 1.0
    unseen: float = 1.0  # the same for unseen wordings, as a share of `low`

    def of(self, wording: str) -> tuple[float, float]:
        """The bounds for a wording."""
        return (round(self.low * self.unseen, 6), self.high) if wording == "unseen" else (self.low, self.high)

    def words(self, wording: str) -> str:
        """As it is written in a table."""
        low, high = self.of(wording)
        if low and high < 1:
            return f"{low:.2f} to {high:.2f}"
        return f"at least {low:.3g}" if low else f"at most {high:.3g}"

    def verdict(self, found: Interval, wording: str) -> str:
        """Whether it was reached, and whether the interval leaves room for doubt."""
        low, high = self.of(wording)
        if low <= found.value <= high:
            return "met" if low <= found.low and found.high <= high else "met, but the interval reaches beyond"
        gap = low - found.value if found.value < low else found.value - high
        reached = found.high >= low if found.value < low else found.low <= high
        return f"**missed** by {gap:.2f}" + (", the interval reaches it" if reached else "")


TARGETS = {
    ("the right passage only", "exact match"): Target(0.90, unseen=UNSEEN),
    ("3 hard distractors", "exact match"): Target(0.80, unseen=UNSEEN),
    ("7 hard distractors", "exact match"): Target(0.70, unseen=UNSEEN),
    ("closed-book", "exact match"): Target(high=0.05),
    ("unanswerable, 4 passages", "abstains"): Target(0.80),
    ("3 hard distractors", "falsely abstains"): Target(high=0.10),
    ("greedy", "answer right"): Target(0.40, 0.80),
    ("questions written", "its document is found first"): Target(0.70),
    ("relevance", "accuracy"): Target(0.85),
    ("reviews, nothing asked", "happy"): Target(0.40, 0.60),
    ("reviews, nothing asked", "polite"): Target(0.40, 0.60),
    ("greetings, nothing asked", "polite"): Target(0.40, 0.60),
}  # fmt: skip
NOTES = {
    "Whole documents": "The documents of the test world (Markdown, text, HTML) cut into passages of at most 700 "
    "characters; the four that BM25 ranks first are shown. Questions of all kinds.",
    "Korean": "Korean documents and questions. *The right passages only* holds two passages for questions about two.",
    "Sums": "Of the samples, 16 at temperature 0.8, the commonest answer counts.",
    "Judging and asking": "A question that sprout writes for a passage is searched among all passages of the test "
    "world. All passages about one subject are its document; they share its name, so that even *the world's own* "
    "questions, which the generator made for the same passages, often find another of them first.",
    "Mood and manner before alignment": "Sampled at temperature 1, but for what was asked for, which is greedy. About "
    "one half is wanted where nothing is asked (0.4 to 0.6), so that there is something to prefer.",
}


def interval(outcomes: str) -> tuple[Interval, int] | None:
    """The share of ones and how many cases there were; nothing without any."""
    right, n = outcomes.count("1"), outcomes.count("1") + outcomes.count("0")
    return (wilson(right, n), n) if n else None


def summary(entry: Record) -> str:
    """The figures of one task in a line."""
    return "; ".join(f"{name} {_cell(outcomes)}" for name, outcomes in entry["figures"].items())


def _cell(outcomes: str) -> str:
    found = interval(outcomes)
    return f"{found[0].value:.2f} [{found[0].low:.2f}, {found[0].high:.2f}], n = {found[1]}" if found else "no case"


def table(entries: list[Record]) -> str:
    """The figures of a group: a row each, known and unseen wordings side by side."""
    both: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        for name, outcomes in entry["figures"].items():
            both.setdefault((entry["task"], name), {})[entry["wording"]] = outcomes
    rows = ["| asked | measured | known wordings | unseen wordings | target |", "|---|---|---|---|---|"]
    for (task, name), found in both.items():
        target = TARGETS.get((task, name))
        goal = target.words("known") if target else ""
        if target and target.unseen < 1:
            goal += f"; unseen {target.of('unseen')[0]:.3g}"
        cells = [_cell(found[wording]) if wording in found else "" for wording in ("known", "unseen")]
        rows.append("| " + " | ".join((task, name, *cells, goal)) + " |")
    return "\n".join(rows)


def verdicts(entries: list[Record]) -> str:
    """Every target: met or missed, one line each."""
    lines = []
    for entry in entries:
        for name, outcomes in entry["figures"].items():
            target, found = TARGETS.get((entry["task"], name)), interval(outcomes)
            if target and found:
                what = f"{entry['task']}, {name}, {entry['wording']} wordings"
                wanted = target.words(entry["wording"])
                verdict = target.verdict(found[0], entry["wording"])
                lines.append(f"- {what}: {found[0].value:.2f}, wanted {wanted}: {verdict}")
    return "\n".join([*lines, *_votes(entries)])


def _votes(entries: list[Record]) -> list[str]:
    """Whether voting gets more sums right than answering once, on the same sums."""
    lines = []
    sums = {(e["task"], e["wording"]): e["figures"] for e in entries if e["group"] == "Sums"}
    for wording in ("known", "unseen"):
        once, voted = (sums.get((task, wording), {}) for task in ("greedy", "voted"))
        before, after = once.get("answer right"), next((v for k, v in voted.items() if k.startswith("majority")), None)
        if before and after and len(before) == len(after):
            gained, lost = (sum(pair == wanted for pair in zip(before, after, strict=True)) for wanted in ("01", "10"))
            gain = paired_shares(gained, lost, len(before))
            verdict = "met" if gain.low > 0 else "met, but not beyond doubt" if gain.value > 0 else "**missed**"
            difference = f"{gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
            lines.append(f"- sums, majority against greedy, {wording} wordings: {difference}, wanted more: {verdict}")
    return lines


def page(results: Record) -> str:
    """The whole page."""
    entries = list(results["tasks"].values())
    model, machine = results["model"], results["machine"]
    about = (
        f"{model['parameters']:,} parameters, {model['bytes'] / 1e6:.1f} MB with its tokenizer (weights in bfloat16); "
        f"weights `{model['weights']}`."
    )
    how = (
        f"A test world of {results['entities']:,} entities, seed {results['seed']}, at most {results['n']} cases per "
        f"figure, computed in {results['dtype']}, in {duration(sum(e['seconds'] for e in entries))}. {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['date']}; torch {machine['torch']}, "
        f"transformers {machine['transformers']}."
    )
    parts = {"The model": f"{about}\n\n{trained(results['training'])}", "Targets": verdicts(entries)}
    for group in dict.fromkeys(entry["group"] for entry in entries):
        note = f"{NOTES[group]}\n\n" if group in NOTES else ""
        parts[group] = note + table([entry for entry in entries if entry["group"] == group])
    parts["How it was measured"] = how
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    return f"{INTRODUCTION}\n{body}\n"


def trained(runs: list[Record]) -> str:
    """How it was trained: a row per stage."""
    if not runs:
        return TRAINED_ON_UNKNOWN
    rows = ["| stage | steps | rows | tokens | time | loss held back | machine |", "|---|---|---|---|---|---|---|"]
    for run in runs:
        loss = "" if run["loss"] is None else f"{run['loss']:.3f}"
        where = f"{run['machine']['cpu']}, {run['machine']['cores']} cores"
        cells = (f"{run['steps']:,}", f"{run['examples']:,}", f"{run['tokens'] / 1e6:.1f}M", duration(run["seconds"]))
        rows.append("| " + " | ".join((run["name"], *cells, loss, where)) + " |")
    tokens, seconds = (sum(run[name] for run in runs) for name in ("tokens", "seconds"))
    return "\n".join(rows) + f"\n\nTogether {tokens / 1e6:.1f}M tokens in {duration(seconds)} of steps."
