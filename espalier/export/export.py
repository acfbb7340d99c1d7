"""`export`: a run, an adapter or a model, handed over to other programs and compared with the run before it counts."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from espalier.errors import RecipeError, RunError, unknown
from espalier.export.adapter import base_named, has_adapter, write_adapter
from espalier.export.card import write_card
from espalier.export.conversations import Agreement
from espalier.export.folder import fresh, written
from espalier.export.gguf import KINDS, check_gguf, write_gguf
from espalier.export.gguf_metadata import architecture_of, usable_context
from espalier.export.hf import write_hf
from espalier.export.hub import PREFIX, repository
from espalier.export.merge import Merged, Tell, merge
from espalier.export.ollama import RAW, translated, write_modelfile
from espalier.export.scores import write_scores
from espalier.export.source import BYTES, Source
from espalier.export.vllm import check_vllm, serve_command
from espalier.models.load import context_length

TARGETS = ("hf", "peft", "gguf", "ollama", "vllm")
OVER_FEW_BITS = "It was trained over quantized weights and is merged into the whole ones: answers may differ a little."


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        target: a run, an adapter, a model folder or a hub id.
        to: hf, peft, gguf, ollama, vllm, or hub:ORG/NAME.
        out: the folder to make; None beside the run.
        kind: GGUF's type of the weights.
        dtype: of the weights in a Hugging Face folder; auto is that of the kept weights.
        raw: a Modelfile without a template.
    """

    target: str
    to: str
    out: Path | None = None
    kind: str | None = None
    dtype: str | None = None
    raw: bool = False

    @property
    def form(self) -> str:
        """The files that are made: what goes to the hub is a whole Hugging Face model."""
        return "hf" if self.to.startswith(PREFIX) else self.to

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            RecipeError: with what does.
        """
        if self.to.startswith(PREFIX):
            repository(self.to)
        elif self.to not in TARGETS:
            raise RecipeError(unknown("target", self.to, [*TARGETS, "hub:ORG/NAME"]))
        if self.kind is not None and self.form not in ("gguf", "ollama"):
            raise RecipeError("--type is for gguf and ollama; the weights of a Hugging Face folder have a --dtype.")
        if self.dtype is not None and self.form in ("gguf", "ollama", "peft"):
            raise RecipeError(
                f"--dtype is for hf, vllm and hub; {self.form} has "
                + ("its own." if self.form == "peft" else "--type.")
            )
        if self.dtype not in (None, *BYTES):
            raise RecipeError(unknown("dtype", str(self.dtype), BYTES))
        if self.raw and self.form != "ollama":
            raise RecipeError("--raw leaves the template out of Ollama's Modelfile; it goes with --to ollama.")


@dataclass(frozen=True)
class Exported:
    """What was made.

    Attributes:
        folder: where it is.
        files: in it, with their sizes.
        agreement: with the run.
        use: what to type next.
        notes: what the user should know.
    """

    folder: Path
    files: list[tuple[str, int]]
    agreement: Agreement
    use: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export(request: Request, tell: Tell = lambda said: None) -> Exported:
    """Write, read again, compare; the folder appears only if the export agrees with its run.

    Args:
        request: what is asked for.
        tell: hears what is being done.

    Raises:
        EspalierError: it cannot be made, or does not agree; nothing is left behind.
    """
    request.check()
    source = Source.open(request.target)
    folder = request.out or _beside(source, request)
    make, needed = _plan(source, request)
    with fresh(folder, needed) as partial:
        made = replace(make(partial, folder, tell), notes=_notes(source, request))
        use, notes = ([_elsewhere(line, source, folder) for line in lines] for lines in (made.use, made.notes))
        write_card(partial, source, made.agreement.sentence(), use, library=_library(source, request), notes=notes)
        files = written(partial)
    return replace(made, files=files)


def _beside(source: Source, request: Request) -> Path:
    """Where an export goes unless told: beside the run, or here for a model from elsewhere."""
    ending = f"{request.form}-{request.kind}" if request.kind else request.form
    folder = source.place.run.folder if source.place.run is not None else Path("model")
    parent = folder.parent if folder.name not in ("", "..") else folder.resolve().parent
    return parent / f"{source.name}-{ending}"


def _elsewhere(line: str, source: Source, folder: Path) -> str:
    """A line of the card: others do not have the folders of this machine, only what these are called."""
    line = line.replace(str(folder), folder.name)
    for path in {base_named(source), source.place.model} if source.is_local(source.place.model) else ():
        line = line.replace(path, Path(path).name)
    return line


def _library(source: Source, request: Request) -> str:
    """What loads the export, as the hub names it."""
    if request.form in ("gguf", "ollama"):
        return "gguf"
    return "peft" if request.form == "peft" or (request.form == "vllm" and source.adapter) else "transformers"


Make = Callable[[Path, Path, Tell], Exported]


def _plan(source: Source, request: Request) -> tuple[Make, int]:
    """How the files are made, and how many bytes they need; whatever can be refused is refused here."""
    kind, dtype = request.kind or "F16", request.dtype or source.dtype
    if request.form in ("gguf", "ollama"):
        name = check_gguf(source, kind)
        source.mergeable()
        return _gguf(source, request, name, kind), int(source.parameters * KINDS[kind])
    if request.form == "peft" or (request.form == "vllm" and source.adapter):
        source.writes_text(request.form)
        has_adapter(source)
        if request.form == "vllm":
            check_vllm(source)
        size = sum(path.stat().st_size for path in Path(str(source.place.adapter)).iterdir() if path.is_file())
        return _adapter(source, request), size
    if dtype not in BYTES:
        raise RunError(
            f"{source.target}: its weights are {dtype}. Say what they should be: --dtype {' or '.join(BYTES)}."
        )
    source.mergeable()
    return _hf(source, request, dtype), source.bytes_of(dtype)


def _hf(source: Source, request: Request, dtype: str) -> Make:
    def make(partial: Path, folder: Path, tell: Tell) -> Exported:
        if source.scores:
            agreement = write_scores(source, partial)
        else:
            merged = merge(source, tell)
            tell(f"writing {dtype}, and reading it again")
            agreement = write_hf(merged, partial, dtype)
        loads = "SequenceClassification" if source.scores else "CausalLM"
        use = [f'AutoModelFor{loads}.from_pretrained("{folder}")', f'AutoTokenizer.from_pretrained("{folder}")']
        if request.form == "vllm":
            use = [serve_command(source, folder)]
        return Exported(folder, [], agreement, use)

    return make


def _adapter(source: Source, request: Request) -> Make:
    def make(partial: Path, folder: Path, tell: Tell) -> Exported:
        agreement = write_adapter(source, partial, tell)
        if request.form == "vllm":
            use = [serve_command(source, folder)]
        else:
            use = [f'PeftModel.from_pretrained(base, "{folder}")  # base: {base_named(source)}']
        return Exported(folder, [], agreement, use)

    return make


def _gguf(source: Source, request: Request, name: str, kind: str) -> Make:
    def make(partial: Path, folder: Path, tell: Tell) -> Exported:
        merged = merge(source, tell)
        go = _go(merged, request)
        tell(f"writing {kind}")
        agreement = write_gguf(merged, partial / name, kind, tell)
        use = [shlex.join(["llama-cli", "-m", str(folder / name)])]
        if go:
            stops = [merged.tokenizer.convert_ids_to_tokens(number) for number in source.renderer.stop_ids]
            context = usable_context(source.config, architecture_of(source.config))
            write_modelfile(partial, name, go, stops, context)
            file = folder / "Modelfile"
            called = source.name.lower()
            use = [shlex.join(["ollama", "create", called, "-f", str(file)]), f"ollama run {called}"]
        return Exported(folder, [], agreement, use)

    return make


def _go(merged: Merged, request: Request) -> str:
    if request.form != "ollama":
        return ""
    return RAW if request.raw else translated(merged.tokenizer, merged.template, merged.talks)


def _notes(source: Source, request: Request) -> list[str]:
    """What holds of this export and is not to be seen from it."""
    found = []
    run = source.place.run
    if run is not None and run.recipe.train_options.quantize and request.form != "peft" and source.adapter:
        found.append(OVER_FEW_BITS)
    if request.form in ("peft", "vllm") and source.adapter and source.is_local(source.place.model):
        found.append(f"Its base is a folder on this machine: {base_named(source)}.")
    if request.form in ("gguf", "ollama"):
        limit = usable_context(source.config, architecture_of(source.config))
        if limit < (context_length(source.config) or 0):
            found.append(f"llama.cpp knows no sliding window here: its context is the {limit} tokens that need none.")
    if request.raw:
        found.append("The Modelfile has no template: write whole prompts, as the training rendered them.")
    return found
