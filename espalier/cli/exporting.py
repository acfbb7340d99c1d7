"""`espalier export`: hand over what was trained, and say how well the export agrees with it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.errors import RecipeError

if TYPE_CHECKING:
    from espalier.export.export import Exported, Request
    from espalier.export.merge import Tell

HUB = "hub:"
HELP = "hf (a whole model), peft (the adapter), gguf, ollama, vllm, or hub:ORG/NAME."


def export(
    target: Annotated[str, typer.Argument(metavar="RUN", help="A run, an adapter, a model folder or a hub id.")],
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help=HELP)],
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The folder to make: RUN-TARGET unless told.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Of a GGUF file's weights: F16, Q8_0, BF16 or F32.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Of a Hugging Face model's weights: that of the base unless told."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Ollama: no template, the whole prompt is written by who asks.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="Hub: a repository that anybody may see.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Hub: upload without asking.")] = False,
) -> None:
    """Hand over what was trained, to run elsewhere as it ran here.

    The export is read again and compared with the run: the token ids of three conversations, and what the model makes
    of them. Nothing is kept that does not agree.
    """
    screen = console.make()
    if (public or yes) and not to.startswith(HUB):
        raise RecipeError("--public and --yes are for an upload: --to hub:ORG/NAME.")
    if to.startswith(HUB) and not yes and not sys.stdin.isatty():
        raise RecipeError("nobody can be asked here whether to upload. Say so beforehand: --yes.")
    from espalier.export import export as exporting

    def tell(said: str) -> None:
        screen.print(Text(f"{console.visible(said)} ...", style="dim"), soft_wrap=True)

    request = exporting.Request(target, to, out, kind, dtype, raw)
    if to.startswith(HUB):
        _to_hub(screen, request, tell, public=public, yes=yes)
    else:
        summarize(screen, exporting.export(request, tell))


def summarize(screen: Console, made: Exported) -> None:
    """What was made, how well it agrees, what to type next."""
    from espalier.export.folder import size

    facts: list[console.Fact] = [("made", str(made.folder))]
    facts += [("files", f"{name}  {size(count)}") for name, count in made.files]
    facts += [("checked", made.agreement.sentence()), *(("note", note) for note in made.notes)]
    screen.print()
    console.facts(screen, facts)
    for line in made.use:
        screen.print(Text.assemble((f"{'use':{console.LABEL + console.GAP}}", "bold"), line), soft_wrap=True)


def _to_hub(screen: Console, request: Request, tell: Tell, *, public: bool, yes: bool) -> None:
    """Make the files, show them, ask, upload."""
    from espalier.export import hub
    from espalier.export.export import export as make

    name = hub.repository(request.to)
    hub.reachable()
    with _place(request) as (asked, kept):
        made = make(asked, tell)
        summarize(screen, replace(made, use=[]))
        screen.print()
        who = "public: anybody can read it" if public else "private"
        if not yes and not typer.confirm(f"Upload these {len(made.files)} files to {name} ({who})?"):
            screen.print("nothing was uploaded" + (f"; the files are in {made.folder}" if kept else ""))
            return
        address = hub.upload(made.folder, name, public=public)
    console.facts(screen, [("uploaded", address)])


@contextmanager
def _place(request: Request) -> Iterator[tuple[Request, bool]]:
    """Where the files lie until they are uploaded: where asked, and kept; or in passing."""
    if request.out is not None:
        yield request, True
        return
    folder = Path(tempfile.mkdtemp(prefix="espalier-"))
    try:
        yield replace(request, out=folder / "export"), False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
