"""The model card: what it is, what it was trained on and how, what was measured, how to use it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espalier import __version__
from espalier.evaluation.wording import number, share, signed, verdict
from espalier.export.source import Source
from espalier.run import Run, versions, write_text

FOLDERS = re.compile(r'"(?:[^"\n]*/)([^"/\n]+)/?"')
PATHS = re.compile(r"^(model|data|out|from|eval_data|path|template) *=.*$", re.MULTILINE)


def write_card(
    folder: Path, source: Source, checked: str, use: Sequence[str], *, library: str, notes: Sequence[str]
) -> None:
    """Write README.md.

    Args:
        folder: the export.
        source: what it was made from.
        checked: one sentence on what was compared.
        use: lines of code or commands.
        library: as the hub names it: transformers, peft, gguf.
        notes: more sentences.
    """
    run = source.place.run
    parts = [_head(source, library, run), f"# {source.name}", _about(source, run), *notes]
    if run is not None:
        parts += [_figures(run), _data(run.read("audit.json", {})), _recipe(run)]
    parts += ["## Use", "```\n" + "\n".join(use) + "\n```"]
    found = run.info().get("versions") if run is not None else None
    parts += [
        "## Checked",
        f"Read again after it was written, and compared with the run: {checked}.",
        _made(found or versions()),
    ]
    write_text(folder / "README.md", "\n\n".join(filter(None, parts)) + "\n")


def _head(source: Source, library: str, run: Run | None) -> str:
    """What the hub reads, as YAML; JSON strings are YAML strings."""
    pipeline = "text-classification" if source.scores else "text-generation"
    fields = {"library_name": library, "pipeline_tag": pipeline}
    if not source.is_local(source.base) and "/" in source.base:
        fields["base_model"] = source.base
    objective = run.recipe.objective["method"].rpartition("/")[2] if run is not None else ""
    tags = ["espalier", *([objective] if objective else [])]
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, f"tags: {json.dumps(tags)}", "---"])


def _about(source: Source, run: Run | None) -> str:
    if run is None:
        return f"Made from {source.base}."
    recipe = run.recipe
    how = str(recipe.adapter["method"]).rpartition("/")[2] + " adapter" if recipe.adapter else "every weight trained"
    objective = str(recipe.objective["method"]).rpartition("/")[2]
    said = verdict(run.read("evaluation.json", {}).get("differences", []))
    return f"{source.base}, tuned with {objective} ({how}). {said}"


def _figures(run: Run) -> str:
    differences = run.read("evaluation.json", {}).get("differences", [])
    if not differences:
        return ""
    rows = [
        "| held-back rows | before | after | change | 95 % interval | rows |",
        "| --- | --: | --: | --: | --- | --: |",
    ]
    for d in differences:
        between = f"{signed(d['low'])} to {signed(d['high'])}"
        values = [d["name"], number(d["before"]), number(d["after"]), signed(d["difference"]), between, f"{d['n']:,}"]
        rows.append(f"| {' | '.join(values)} |")
    return "## Measured\n\n" + "\n".join(rows)


def _data(audit: Mapping[str, Any]) -> str:
    if not audit:
        return ""
    kept = audit["kept"] - audit["held"]
    lines = [f"{audit['read']:,} rows read, {kept:,} trained on, {audit['held']:,} held back to measure."]
    lines += [f"Dropped: {count:,} ({reason})." for reason, count in audit["dropped"].items()]
    for name, (p50, p95, most) in audit["lengths"].items():
        lines.append(f"Tokens of a {name}: {p50:,} median, {p95:,} at 95 %, {most:,} at most.")
    if audit["languages"]:
        lines.append(
            "Languages: " + ", ".join(f"{name} {share(part)}" for name, part in audit["languages"].items()) + "."
        )
    lines.append(f"{share(audit['ended'])} of the targets end in an end-of-turn token.")
    personal = ", ".join(f"{count:,} {kind}" for kind, count in audit["personal"].items() if count)
    lines.append(f"What looks like personal data: {personal or 'none found'}.")
    return "## Data\n\n" + "\n".join(f"- {line}" for line in lines)


def _recipe(run: Run) -> str:
    text = (run.folder / "recipe.toml").read_text(encoding="utf-8")
    here = run.recipe.model.startswith((".", "/", "~")) or Path(run.recipe.model).exists()

    def told(line: re.Match[str]) -> str:
        """Of a path on this machine, the last part says enough; a hub id stays."""
        return line[0] if line[1] == "model" and not here else FOLDERS.sub(r'"\1"', line[0])

    return f"## Recipe\n\n```toml\n{PATHS.sub(told, text).strip()}\n```"


def _made(found: Mapping[str, str]) -> str:
    return (
        f"Made with espalier {__version__}; "
        + ", ".join(f"{k} {v}" for k, v in found.items() if k != "espalier-lm")
        + "."
    )
