"""From nothing to a tuned and aligned model in minutes, without a download: `make quickstart`.

It makes a very small world and a model of its own (world.py), then types the commands that a user would type. With
DATA=rows.jsonl and MODEL=folder in the environment it takes those instead.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from world import GREETING, make

HERE = Path("runs", "quickstart")
ESPALIER = (sys.executable, "-c", "import sys; from espalier.cli import main; sys.exit(main())")
STOPPED = 130  # the exit code of Ctrl-C


def espalier(why: str, *words: str | Path, said: str | None = None) -> None:
    """Show a command, run it, and end where it fails: it has said itself what is wrong.

    Args:
        why: what it is for.
        words: what stands behind `espalier`.
        said: what is typed into it.
    """
    given = [str(word) for word in words]
    typed = "" if said is None else f"echo {shlex.quote(said)} | "
    print(f"\n# {why}\n$ {typed}espalier {shlex.join(given)}", flush=True)
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the command, which knows what to save
    try:
        code = subprocess.run([*ESPALIER, *given], input=said, text=True).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        sys.exit(code if code > 0 else STOPPED)


def free(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3, ... that does not exist."""
    tried = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
    return next(path for path in (folder, *tried) if not path.exists())


def small_world(out: Path) -> None:
    """Tune a model from random weights, then align it, in a world made for this."""
    begun = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = (
        "1"  # so small a model gains nothing from more, and the numbers are the same anywhere
    )
    print(f"Making a model of random weights, and rows about people who do not exist, in {out} ...", flush=True)
    make(out)
    model, sft, dpo = out / "model", out / "sft", out / "dpo"
    espalier("What will be trained, before anything is.", "check", "--model", model, "--data", out / "sft.jsonl")
    espalier(
        "Teach it to answer from a line that it reads: every weight, from scratch, so at a high learning rate.",
        "train", "sft", "--model", model, "--data", out / "sft.jsonl", "--out", sft,
        "--learning-rate", "2e-3", "--beta2", "0.95", "--epochs", "10", "--batch-size", "32",
    )  # fmt: skip
    espalier(
        "Measure it on people that it has never met.",
        "evaluate", sft, "--against", "base", "--data", out / "new_sft.jsonl", "--max-tokens", "16",
    )  # fmt: skip
    espalier(
        "Its rows are rude at the door as often as polite. Pairs say what is wanted; an adapter learns it.",
        "train", "dpo", "--from", sft, "--adapter", "lora", "--data", out / "dpo.jsonl", "--out", dpo,
        "--learning-rate", "5e-4", "--epochs", "3",
    )  # fmt: skip
    espalier(
        "Measure that on visitors that it has never met.",
        "evaluate", dpo, "--against", "base", "--data", out / "new_dpo.jsonl", "--max-tokens", "48",
    )  # fmt: skip
    espalier("And talk to it.", "chat", dpo, "--against", "base", said=GREETING.format("baker", "Lund"))
    print(f"\nDone in {time.monotonic() - begun:.0f} s. Open in a browser, to see what was gained:\n")
    print(f"  {sft / 'report.html'}\n  {dpo / 'report.html'}\n")
    print("Now with your rows: espalier check --data YOUR.jsonl --model FOLDER_OR_ID")
    print("or all at once:     make quickstart DATA=YOUR.jsonl MODEL=FOLDER_OR_ID")
    print("(espalier is in .venv/bin; `source .venv/bin/activate` puts it on the path)")


def own(data: str, model: str) -> None:
    """The user's rows and model: look, then tune an adapter."""
    given = ("--model", model, "--data", data)
    espalier("What will be trained, before anything is.", "check", "sft", *given)
    espalier("Tune an adapter on it.", "train", "sft", *given, "--adapter", "lora", "--out", free(Path("runs", "own")))


def main() -> None:
    """What the environment asks for."""
    data, model = os.environ.get("DATA"), os.environ.get("MODEL")
    if data and model:
        own(data, model)
    elif data or model:
        sys.exit("Give both, your rows and a model: make quickstart DATA=rows.jsonl MODEL=folder")
    else:
        small_world(free(HERE))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
