"""What a run shows while it runs: a live bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from espalier.console import print_audit, print_estimate, visible
from espalier.evaluation.wording import duration, number

if TYPE_CHECKING:
    from espalier.train.loop import Event

BOOKKEEPING = {"loss", "grad_norm", "learning_rate", "tokens", "seconds", "examples", "best"}
SHOWN = 2  # numbers beside the loss
RECENT = 20  # steps that the shown numbers are means of
PLAIN_SECONDS = 5.0  # between two plain lines


class Progress:
    """Listens to a run's events; a context manager, for the bar has to be taken away again.

    Attributes:
        training: whether steps are being taken: Ctrl-C should not lose them.
        saved: whether a checkpoint has been written.
        step: the last step taken.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.training = self.saved = False
        self.step = 0
        self._steps = 0
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT)
        self._start: tuple[float, int] | None = None  # when the first step began, and the steps done before it
        self._printed = -PLAIN_SECONDS
        self._phase = ""
        self._task: TaskID | None = None
        columns = (TextColumn("{task.description}", style="bold"), BarColumn(24), MofNCompleteColumn())
        live = console.is_terminal and not console.is_dumb_terminal
        self._bar = Bar(*columns, TextColumn("{task.fields[text]}"), console=console, transient=True) if live else None

    def __enter__(self) -> Progress:
        """Take the terminal."""
        if self._bar:
            self._bar.start()
            self._draw("starting", 0, 0)
        return self

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        if self._bar:
            self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; kinds that are not known are not shown."""
        known = {
            "audit": self._on_audit, "estimate": self._on_estimate, "note": self._on_note, "step": self._on_step,
            "eval": self._on_eval, "save": self._on_save, "end": self._on_end, "reference": self._on_phase,
            "evaluating": self._on_phase, "sampling": self._on_phase,
        }  # fmt: skip
        if event.kind in known:
            known[event.kind](event)

    def _on_audit(self, event: Event) -> None:
        print_audit(self.console, event.values["audit"])

    def _on_estimate(self, event: Event) -> None:
        self._steps = int(event.values.get("steps", 0))
        print_estimate(self.console, event.values)

    def _on_note(self, event: Event) -> None:
        self.console.print(Text.assemble(("note: ", "bold"), visible(str(event.values["text"]))))

    def _on_step(self, event: Event) -> None:
        self.training, self.step = True, event.step
        self._recent.append(event.values)
        if self._start is None:
            self._start = (self.clock() - event.values["seconds"], event.step - 1)
        self._draw("training", event.step, self._steps, self._numbers() + self._speed(event.step))

    def _on_eval(self, event: Event) -> None:
        best = "  best so far" if event.values.get("best") else ""
        self.console.print(f"step {event.step:,}  held-back rows: {_named(_shown(event.values), event.values)}{best}")

    def _on_save(self, event: Event) -> None:
        self.saved = True

    def _on_end(self, event: Event) -> None:
        self.training, self.step = False, event.step

    def _on_phase(self, event: Event) -> None:
        self.training = False
        self._draw(str(event.values.get("text") or event.kind), int(event.values["done"]), int(event.values["total"]))

    def _draw(self, phase: str, done: int, total: int, text: str = "") -> None:
        new = phase != self._phase
        self._phase = phase
        if self._bar:
            if new and self._task is not None:
                self._bar.remove_task(self._task)
            if new or self._task is None:
                self._task = self._bar.add_task(phase, total=total or None, text=text)
            self._bar.update(self._task, completed=done, text=text)
        elif new or done == total or self.clock() - self._printed >= PLAIN_SECONDS:
            self._printed = self.clock()
            of = f" of {total:,}" if total else ""
            self.console.print(f"{phase} {done:,}{of}  {text}".rstrip())

    def _numbers(self) -> str:
        """The loss and what else the objective reports, as means of the last steps."""
        names = _shown(self._recent[-1])
        steps = [step for step in self._recent if all(name in step for name in names)]
        return _named(names, {name: sum(step[name] for step in steps) / len(steps) for name in names})

    def _speed(self, step: int) -> str:
        seconds = sum(values["seconds"] for values in self._recent)
        tokens = sum(values["tokens"] for values in self._recent)
        text = f"  {tokens / seconds:,.0f} tokens/s" if seconds else ""
        assert self._start is not None
        began, before = self._start
        if self._steps > step:
            left = (self._steps - step) * (self.clock() - began) / (step - before)
            text += f"  {duration(left)} left"
        return text


def _shown(values: Mapping[str, float]) -> list[str]:
    return ["loss", *(name for name in values if name not in BOOKKEEPING)][: 1 + SHOWN]


def _named(names: Sequence[str], values: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {number(values[name])}" for name in names)
