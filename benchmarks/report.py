"""Writes docs/benchmarks.md from the recorded results: `python -m benchmarks.report`."""

from __future__ import annotations

from typing import Any

from benchmarks import scaling
from benchmarks.race import ROOT, recorded, summary

RESULTS = ROOT / "benchmarks/results"
TARGETS = {  # what a case set out to reach: speed against TRL's best and its defaults
    "dpo-full": (2.2, 4.0), "dpo-full-hh": (2.2, 4.0), "dpo-lora": (2.2, 4.0), "dpo-lora-135m": (2.2, 4.0),
    "dpo-full-135m-hh": (2.2, None), "dpo-lora-0.6b-hh": (2.2, None),
    "dpo-full-live": (1.8, 3.0), "dpo-lora-live": (1.8, 3.0),
    "dpo-full-fp32": (2.0, None), "sft-full": (2.0, None), "sft-full-alpaca": (2.0, None),
    "dpo-full-4": (4.0, 4.0), "dpo-full-4-live": (4.0, 4.0), "orpo-full": (2.0, 2.0), "reward-full": (2.0, 2.0),
    "kto-full": (None, 4.0), "kto-full-both": (None, 4.0), "kto-lora": (None, 4.0),
}  # fmt: skip
MEMORY = (0.65, 1 / 3)  # of TRL's best: peak, and peak above weights, gradients and optimizer state

INTRODUCTION = """# Benchmarks

Written by `python -m benchmarks.report` from `benchmarks/results/`; `python -m benchmarks.race` records them anew.

Espalier against TRL on a CPU: the same rows in the same order, the same random weights, each side in its own process,
the sides taking turns. Rates leave out the first step, in which libraries load and memory is touched. Of several rounds
the median counts; *spread* is how far our own rounds lie apart. *By CPU time* compares the processor seconds of both
sides instead of the clock's: where other work shares the machine, that is the figure to trust.

**The ratios hold on a CPU only.** There TRL projects every position to the vocabulary, prompts and padding included; on
CUDA it skips positions without a label. On a GPU expect the part that comes from sharing prompts and not padding.

- *TRL default*: TRL's own settings: up to 8 rows in one piece, accumulated to the same batch where that is larger, and
  gradient checkpointing.
- *TRL best*: the fastest and leanest of its settings found for DPO on this kind of machine, taken over for the others:
  one row at a time (KTO two, it refuses one), accumulated to the same batch, no gradient checkpointing.
- *cached* (unless a case says *live*): the reference's log-probabilities are computed before training on both sides,
  outside the time shown; *live*: at every step.
- *Above*: peak resident memory without imported libraries, weights, gradients and optimizer state.
- *dpo-full-4*: four answers to each prompt, as in UltraFeedback: three pairs that repeat the prompt and the chosen
  answer, all in one batch, which ours computes as one tree. `espalier train` shuffles rows one by one, and pairs of a
  prompt share what they have in common where they meet in a batch.
- *kto-full*: rated answers, each with a prompt of its own; *both*: both answers of a pair, side by side in a batch.

What is not equal: TRL also computes entropy, mean logits and token accuracy for its logs; ours reports implicit
rewards. TRL's trainer, collator and scheduler are inside its time; our planting and preparing are inside ours, reading
rows is in neither. In float32 ours uses `torch.set_float32_matmul_precision("medium")`, TRL torch's default. Both sides
keep freed memory (glibc's malloc variables), without which both are slower; ours, as always, limits how many compiled
kernels oneDNN keeps. In bfloat16 both compute matrix products in bfloat16 and keep float32 weights, but for LoRA at
135M and 0.6B, whose frozen weights are bfloat16. Losses and gradients are equal in float32 for the same batch:
`tests/equals/`. But:

- KTO: both sides score every prompt with an answer to another one, under policy and reference, to estimate z0. TRL
  pairs and averages within what it computes at once (2 or 8 rows), ours over the batch. With *cached*, TRL computes all
  that the reference says beforehand, since its order never changes; ours pairs anew in every epoch, so it keeps the
  reference and scores those answers at every step.
- ORPO: TRL's imitation term covers prompt and answer, the paper's and ours the answer alone. TRL needs the prompt's
  log-probabilities for it; this trainer projects every position on any device. It begins rows with a start token, and
  so do ours here.
- Reward model: both start from the same scalar head. TRL computes it in bfloat16, ours in float32.
"""


def table(cases: dict[str, Any]) -> str:
    """Rates and ratios, a row per case."""
    rows = [
        "| case | rows | ours /s | TRL best /s | TRL default /s | against best | default | by CPU time | spread |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in cases.items():
        s, case = summary(entry), entry["case"]
        spread = f"{s['spread']:.0%}" if len(entry["runs"]["ours"]) > 1 else "one round"
        by_cpu = ", ".join(f"{s[key]:.2f}x" for key in ("cpu speed vs best", "cpu speed vs default") if key in s)
        cells = [
            name,
            f"{case['rows']}, {case['count']}",
            *(_number(s, f"rate {side}") for side in ("ours", "best", "default")),
        ]
        cells += [_number(s, f"speed vs {side}", "x") for side in ("best", "default")]
        rows.append("| " + " | ".join([*cells, by_cpu, spread]) + " |")
    return "\n".join(rows)


def memory(cases: dict[str, Any]) -> str:
    """Peaks in MB and their ratios, a row per case."""
    rows = [
        "| case | peak ours | TRL best | TRL default | ours / best | above: ours | TRL best | ours / best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in cases.items():
        s = summary(entry)
        whole = [f"{s[key]:.0f}" if key in s else "" for key in ("peak ours", "peak best", "peak default")]
        over = [f"{s[key]:.0f}" for key in ("above ours", "above best")]
        cells = [name, *whole, f"{s['peak vs best']:.2f}", *over, f"{s['above vs best']:.2f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def where(cases: dict[str, Any]) -> str:
    """Share of the machine's own matrix-product rate, and where the time of a step goes."""
    kinds = list(next(iter(cases.values()))["runs"]["ours"][0]["profile"])
    rows = ["| case | of the GEMM rate | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 2) + "|"]
    for name, entry in cases.items():
        s = summary(entry)
        spent = entry["runs"]["ours"][-1]["profile"]
        rows.append(f"| {name} | {s['gemm share']:.0%} | " + " | ".join(f"{spent[kind]:.0%}" for kind in kinds) + " |")
    return "\n".join(rows)


def misses(cases: dict[str, Any]) -> str:
    """What did not reach its target, one line each."""
    found = []
    for name, entry in cases.items():
        s = summary(entry)
        for side, wanted in zip(("best", "default"), TARGETS.get(name, (None, None)), strict=True):
            if wanted is not None and s.get(f"speed vs {side}", wanted) < wanted:
                found.append(f"- {name}: {s[f'speed vs {side}']:.2f}x TRL's {side}, wanted {wanted:g}x")
        for kind, limit in zip(("peak", "above"), MEMORY, strict=True):
            if s[f"{kind} vs best"] > limit:
                found.append(f"- {name}: memory ({kind}) {s[f'{kind} vs best']:.2f} of TRL's best, wanted {limit:.2f}")
    waiting = [name for name in TARGETS if name not in cases]
    if waiting:
        found.append(f"- not recorded yet: {', '.join(waiting)}")
    return "\n".join(found) or "None."


def machines(cases: dict[str, Any]) -> str:
    """What the cases ran on, and under which load."""
    found: dict[str, list[str]] = {}
    for name, entry in cases.items():
        m = entry["machine"]
        rates = ", ".join(f"{rate} in {dtype}" for dtype, rate in m["gflops"].items())
        versions = ", ".join(f"{package} {m[package]}" for package in ("torch", "transformers", "trl", "peft"))
        text = (
            f"{m['cpu']}, {m['cores']} cores, {entry['threads']} threads; "
            f"{rates} GFLOP/s (2048 x 2048 matrix products); {versions}."
        )
        others = f", {m['busy']:.0%} of the processor in use" if "busy" in m else ""
        found.setdefault(text, []).append(f"{name} ({m['date']}: load average {m['load']}{others})")
    head = "With the load right before each case began, which includes what the case before it left.\n\n"
    return head + "\n".join(f"- {text} {', '.join(names)}." for text, names in found.items())


def grid(cells: dict[str, Any]) -> str:
    """How the ratio moves with the prompt's share and the number of answers."""
    if not cells:
        return "Not run: `python -m benchmarks.scaling` measures it."
    return f"""DPO of all weights, reference cached, on prompts with 2, 4 or 8 answers. A row, prompt and answer, has
about 320 tokens, of which the prompt is 10 %, 50 % or 90 %; all pairs of a prompt are in one batch of at most
{scaling.PAIRS}. Tokens are those of the distinct rows, the same number on both sides, though TRL computes the chosen
answer once per pair.

![Tokens per second, ratio and peak memory by the prompt's share and the number of answers](scaling.svg)

{scaling.table(cells)}"""


def page(cases: dict[str, Any], cells: dict[str, Any]) -> str:
    """The whole page."""
    parts = {
        "Speed": table(cases),
        "Memory (MB)": memory(cases),
        "Where the time goes": "Shares of our CPU time in one step, by torch's profiler.\n\n" + where(cases),
        "Missed targets": misses(cases),
        "Prompt share and number of answers": grid(cells),
        "Machine": machines(cases | cells),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    return f"{INTRODUCTION}\n{body}\n\n## A 24 GB graphics card\n\n{_workstation()}\n"


def _workstation() -> str:
    file = RESULTS / "workstation.json"
    if not file.exists():
        return "Not run: no GPU at hand. `python -m benchmarks.workstation` measures it."
    return "```json\n" + file.read_text().strip() + "\n```"


def _number(found: dict[str, float], name: str, unit: str = "") -> str:
    return f"{found[name]:.2f}{unit}" if name in found else ""


def main() -> None:
    """Write the page."""
    cases, cells = (recorded(RESULTS / name) for name in ("race.json", "scaling.json"))
    (ROOT / "docs/benchmarks.md").write_text(page(cases, cells))
    if cells:
        (ROOT / "docs/scaling.svg").write_text(scaling.picture(cells))


if __name__ == "__main__":
    main()
