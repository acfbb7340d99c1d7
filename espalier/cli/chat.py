"""Talking to a model, or to two side by side, with the renderer of their training."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.console import visible
from espalier.contracts import Prompt
from espalier.errors import RecipeError, RowError
from espalier.run import locate
from espalier.settings import FILE, Settings

if TYPE_CHECKING:
    from espalier.render import Renderer

Stream = Callable[[Prompt], Iterator[str]]  # a prompt in, pieces of the answer out
HELP = "/reset forgets the conversation, /quit leaves, Ctrl-C stops an answer; a line that ends in \\ goes on."


def talk(target: str | None, against: str | None, *, system: str | None, **sampling: Any) -> None:
    """Open the models and talk until the user leaves.

    Args:
        target: a run, an adapter, a model folder or a hub id; None takes the model of espalier.toml.
        against: another one, or "base".
        system: a system message.
        sampling: how answers are sampled.

    Raises:
        RecipeError: no model is named.
    """
    from espalier.cli.targets import BASE, open_targets
    from espalier.lm.local import Local

    target = target or _named()
    out = console.make()
    sides = []
    for name, model in zip((target, against), open_targets(target, against), strict=True):
        if model is not None:
            answer = partial(Local(model.policy, model.renderer).stream, **sampling)
            place = target if name in (None, BASE) else name
            sides.append(Side(str(name), answer, text=plain_prompts(place, model.renderer)))
    if sys.stdin.isatty():
        alone = " Each line stands by itself, for the prompts of its training had no turns." if sides[0].text else ""
        out.print(Text(f"{HELP}{alone}", style="dim"))
    Chat(sides, out, system=system).run(typed())


def _named() -> str:
    """The model of the settings."""
    settings = Settings.read()
    if settings.model is None:
        raise RecipeError(f'no model is named: espalier chat MODEL, or write model = "..." into {FILE}.')
    settings.used("model")
    return settings.model


def plain_prompts(target: str, renderer: Renderer) -> bool:
    """Whether a run's rows had prompts of plain text rather than turns, for a model without a chat template."""
    run = locate(target).run
    if renderer.template_name != "plain" or run is None:
        return False
    header = renderer.decode(renderer.prompt([{"role": "user", "content": "?"}])).rpartition("?")[2]
    shown = run.read("audit.json", {}).get("shown") or [["", False]]
    return not str(shown[0][0]).endswith(header)


@dataclass
class Side:
    """One model of a chat, with the conversation it remembers."""

    name: str
    stream: Stream
    text: bool = False  # it was tuned on plain prompts: each line is one, and nothing is remembered
    messages: list[dict[str, str]] = field(default_factory=list)


class Chat:
    """A conversation with one or more models, each of which remembers its own answers.

    Args:
        sides: the models.
        out: where answers are printed.
        system: a system message.
    """

    def __init__(self, sides: list[Side], out: Console, *, system: str | None = None) -> None:
        self.sides, self.out, self.system = sides, out, system
        self.reset()

    def reset(self) -> None:
        """Forget the conversation."""
        for side in self.sides:
            side.messages = [{"role": "system", "content": self.system}] if self.system else []

    def run(self, lines: Iterator[str]) -> None:
        """Answer each line until there are no more, or one says /quit."""
        for line in lines:
            said = line.strip()
            if said in ("/quit", "/exit"):
                return
            if said == "/reset":
                self.reset()
                self.out.print(Text("forgotten", style="dim"))
            elif said.startswith("/") and " " not in said:
                self.out.print(Text(HELP, style="dim"))
            elif said:
                self.answer(said)

    def answer(self, said: str) -> None:
        """Print the answer of each side as it comes."""
        for side in self.sides:
            if len(self.sides) > 1:
                self.out.print(Text(f"{side.name}:", style="bold cyan"))
            prompt: Prompt = said if side.text else [*side.messages, {"role": "user", "content": said}]
            answer = self._streamed(side.stream(prompt))
            if answer and not side.text:
                side.messages += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]

    def _streamed(self, pieces: Iterator[str]) -> str:
        """The answer, printed while it comes; Ctrl-C ends the answer, not the chat."""
        said, end = "", "\n"
        try:
            for piece in pieces:
                piece = piece if said else piece.lstrip()
                said += piece
                self.out.file.write(visible(piece))
                self.out.file.flush()
        except KeyboardInterrupt:
            end = " (stopped)\n"
        except RowError as error:  # the conversation has outgrown the model's context
            end = f"{error} /reset forgets the conversation.\n"
        self.out.file.write(end)
        return said.rstrip()


def typed(prompt: str = "> ") -> Iterator[str]:
    """Lines from the keyboard, with editing and history, or from a pipe."""
    if not sys.stdin.isatty():
        yield from _joined(line.rstrip("\n") for line in sys.stdin)
        return
    with contextlib.suppress(ImportError):  # Windows has none
        import readline  # noqa: F401  # gives input() its editing
    yield from _joined(_keyboard(prompt))


def _keyboard(prompt: str) -> Iterator[str]:
    while True:
        try:
            yield input(prompt)
        except (EOFError, KeyboardInterrupt):
            print()
            return


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Lines, those that end in a backslash together with the next."""
    held = ""
    for line in lines:
        if line.endswith("\\"):
            held += line[:-1] + "\n"
        else:
            yield held + line
            held = ""
    if held:
        yield held.removesuffix("\n")
