"""Writes docs/objectives_measured.md from what `python -m benchmarks.objectives` recorded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks import objectives_questions
from benchmarks.objectives_cells import Size, rate_of, sections
from benchmarks.objectives_figures import Entries, Record, Reward, between, clear, known, quiet, share, told
from espalier.evaluation.wording import duration
from espalier.maths.intervals import bootstrap

BROKEN = "†"
INTRODUCTION = """# Offline objectives under a known reward

Written by `python -m benchmarks.objectives`, which measures all of it anew.

Every offline objective trains a LoRA adapter on [sprout](sprout.md), the bundled model of 5M parameters, with its
preset `small`, which gives a model this narrow four times its learning rate. The rows are reviews of the invented
world's *dev* part, judged by somebody whose reward is known: the mood of a review, from -1 (unhappy) to 1 (happy), by
its words and nothing else ([how](world.md)). Afterwards the model writes one review for each of a number of prompts
about the *test* part, at temperature 1 and with the same random numbers for all, and the reward itself says what was
learned.

- *reward*: its mean over the samples; *change*: the paired difference from the start.
- *KL*: log pi(y) - log pi_start(y) of the same samples, the mean over samples, in nats per review.
- *whole*: samples made of words that reviews of this world have. A reward that counts words can be earned with broken
  text: {broken} marks training after which clearly fewer samples are whole than at the start, or clearly fewer end.
- *pairs*: held-back pairs of which training raised the better review more than the worse (log-ratios to the start).
- *time*: processor seconds of one thread for the whole run, its reference included; *memory*: MB that the process grew
  by at the peak.

Brackets hold 95 % intervals over prompts, by the bootstrap; Wilson's for shares. They do not hold the chance of
training: most cells are one seed. Every policy reads about as many completion tokens: of {pairs} pairs both reviews
once, or for SFT the liked one twice.

**What this cannot say.** The judge is simple, the reviews are short and the model is tiny. Learning rates of LoRA
do not carry over as they are: larger models want lower ones. Orders of magnitude and failures count more than ranks.
"""


def page(results: Record) -> str:
    """The whole page."""
    size, cells = Size(**results["size"]), results["cells"]
    found = {
        section: {label: cells[cell.key(size)] for label, cell in named.items() if cell.key(size) in cells}
        for section, named in sections(size).items()
    }
    start = found["start"]["start"]
    wanted = len({cell.key(size) for named in sections(size).values() for cell in named.values()})
    parts = [
        INTRODUCTION.format(broken=BROKEN, pairs=size.pairs),
        setting(results, start, wanted),
        "## With the presets `small`\n\n" + objectives(found["objectives"], start),
        "## Learning rates\n\n" + rates(found["rates"], start),
        objectives_questions.thumbs(found["thumbs"], start),
        objectives_questions.flipped(found["flipped"], start),
        objectives_questions.costs(found["costs"]),
        objectives_questions.scores(found["scores"]),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def setting(results: Record, start: Record, wanted: int) -> str:
    """What was measured where, how much of what was wanted, and how the model starts."""
    machine, model = results["machine"], results["model"]
    spent = sum(entry.get("cpu", 0.0) for entry in results["cells"].values())
    first, count = Reward.of([start]), len(results["cells"])
    partly = f"**{count} of {wanted} cells are measured; what is missing is not shown.**" if count < wanted else ""
    return "\n".join(
        (
            f"- Weights `{model['weights']}`, {model['parameters']:,} parameters, float32; {machine['cpu']}, "
            f"one thread a run, {machine['date']}, torch {machine['torch']}; load when it began {machine['load']:.1f}.",
            f"- {count} cells, {duration(spent)} of processor time in training. {partly}".rstrip(),
            f"- Before training sprout earns {between(first.interval())}; {share(start['whole'])} of its reviews are "
            f"whole, {share(start['ended'])} end, {np.mean(start['length']):.0f} tokens long.",
        )
    )


def objectives(entries: Entries, start: Record) -> str:
    """A row per objective."""
    rows = [
        "| objective | rate | reward | change | KL | pairs | whole | ended | tokens | time (reference) | memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    raised = []
    for name, entry in known(entries).items():
        reward, change = Reward.of([entry]), Reward.of([entry]).less(Reward.of([start]))
        raised += [name] if change.low > 0 else []
        mark = f" {BROKEN}" if broken(entry, start) else ""
        cells = [
            name + mark,
            f"{entry['cell']['options']['learning_rate']:g}",
            f"{reward.mean():.2f}",
            between(change, sign=True),
            between(bootstrap(entry["kl"])),
            told(entry["pairs"]),
            share(entry["whole"]),
            share(entry["ended"]),
            f"{np.mean(entry['length']):.0f}",
            f"{entry['cpu']:.0f} s ({entry['reference']:.1f})",
            f"{entry['peak']:.0f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    rows += [
        "",
        f"The reward rose beyond doubt with {len(raised)} of {len(known(entries))}: {', '.join(raised) or 'none'}.",
    ]
    failed = [f"- {name} failed: {entry['failed']}" for name, entry in entries.items() if "failed" in entry]
    return "\n".join(rows + failed)


def rates(entries: Entries, start: Record) -> str:
    """Reward and KL of each objective by learning rate, and which rate a preset should have."""
    by_name: dict[str, dict[float, Record]] = {}
    for label, entry in known(entries).items():
        name, rate = label.split()
        by_name.setdefault(name, {})[float(rate)] = entry
    columns = sorted({rate for found in by_name.values() for rate in found})
    rows = [
        f"Reward, and KL in brackets; {BROKEN}: the text breaks. **Bold**: the preset's rate.",
        "",
        "| objective | " + " | ".join(f"{rate:g}" for rate in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, found in by_name.items():
        cells = [_cell(found.get(rate), start, bold=rate == rate_of(name)) for rate in columns]
        rows.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join([*rows, "", *(f"- {verdict(name, found, start)}" for name, found in by_name.items())])


def _cell(entry: Record | None, start: Record, *, bold: bool) -> str:
    if entry is None:
        return ""
    text = f"{np.mean(entry['rewards']):.2f} ({np.mean(entry['kl']):.1f})"
    return (f"**{text}**" if bold else text) + (f" {BROKEN}" if broken(entry, start) else "")


def broken(entry: Record, start: Record) -> bool:
    """Whether training made clearly fewer samples whole, or clearly fewer of them end."""
    return any(clear(entry[name], start[name]).high < 0 for name in ("whole", "ended"))


def best(found: Mapping[float, Record], start: Record) -> float | None:
    """The rate of the highest reward whose text does not break."""
    sound = {rate: float(np.mean(entry["rewards"])) for rate, entry in found.items() if not broken(entry, start)}
    return max(sound, key=lambda rate: sound[rate], default=None)


def verdict(name: str, found: Mapping[float, Record], start: Record) -> str:
    """The preset's rate against the best one, in a sentence."""
    preset, rate = rate_of(name), best(found, start)
    if preset not in found:
        return f"{name}: the preset's rate was not measured."
    if len(found) == 1:
        return f"{name}: no other rate than the preset's, {preset:g}, was measured."
    if rate is None:
        return f"{name}: the text breaks at every rate."
    if rate == preset:
        return f"{name}: the preset's rate, {preset:g}, is the best of those that do not break the text."
    gap = Reward.of([found[rate]]).less(Reward.of([found[preset]]))
    sure = "clearly better" if gap.low > 0 else "not clearly better"
    return f"{name}: {rate:g} is {sure} than the preset's {preset:g}: {between(gap, sign=True)}."


def line(entry: Record) -> str:
    """A cell in a line, as it is printed while measuring."""
    cell = entry["cell"]
    about = f"{cell['objective']} {cell['data']} {quiet(cell['options'])} {quiet(cell['rows'])}"
    if "failed" in entry:
        return f"{about}: failed: {entry['failed']}"
    shown = [f"{name} {np.mean(entry[name]):.2f}" for name in ("rewards", "kl") if name in entry]
    shown += [
        f"{name} {share(entry[name])}" for name in ("whole", "ended", "pairs", "agreed", "right") if name in entry
    ]
    shown += [f"{name} {entry[name]}" for name in ("cpu", "seconds", "peak", "missing") if name in entry]
    return f"{about}: {', '.join(shown)}"
