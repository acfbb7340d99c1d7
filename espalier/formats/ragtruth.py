"""RAGTruth (Niu et al., 2024), arXiv:2401.00396: response.jsonl and source_info.jsonl, joined to rows.

A label is {"start", "end", "text", "label_type", "meta"} of the response, and perhaps `implicit_true` (it is true, but
the passages do not say so) and `due_to_null` (it comes of an empty field). The four types are "Evident Conflict",
"Subtle Conflict", "Evident Baseless Info" and "Subtle Baseless Info".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.formats.fields import Fields, LeftOut, Malformed, text
from espalier.formats.files import records
from espalier.formats.text import COMPRESSED

TYPES = ("Evident Conflict", "Subtle Conflict", "Evident Baseless Info", "Subtle Baseless Info")

_PASSAGE = re.compile(r"(?:^|\n\n)passage \d+:")


@dataclass(frozen=True)
class RagTruth:
    """Rows with prompt, completion, passages, labels and task; and how many were left out, by reason."""

    rows: list[Row]
    left_out: Counter[str]


def read_ragtruth(folder: Path, split: str | None = None, *, quality: Collection[str] = ("good",)) -> RagTruth:
    """The responses of a folder with what they should rest on.

    Args:
        folder: with response.jsonl and source_info.jsonl, which may be compressed.
        split: "train" or "test"; both if not given.
        quality: which responses; others are "truncated" and "incorrect_refusal".

    Raises:
        RowError: a file is missing, or no response can be used.
    """
    sources: dict[str, Fields] = {}
    left_out: Counter[str] = Counter()
    for _, source in records(_file(folder, "source_info.jsonl")):
        if isinstance(source, Malformed):
            left_out[f"source: {source.reason}"] += 1
        else:
            sources[str(source.get("source_id"))] = source
    rows = []
    for where, response in records(_file(folder, "response.jsonl")):
        try:
            if isinstance(response, Malformed):
                raise response
            rows.append(Row(_joined(response, sources, split, quality), where))
        except Malformed as problem:
            left_out[problem.reason] += 1
    if not rows:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in left_out.most_common(4)) or "the file is empty"
        raise RowError(f"{folder}: no response can be used ({reasons}).")
    return RagTruth(rows, left_out)


def _joined(
    response: Fields, sources: Mapping[str, Fields], split: str | None, quality: Collection[str]
) -> dict[str, Any]:
    if split is not None and response.get("split") != split:
        raise LeftOut("another split")
    if response.get("quality", "good") not in quality:
        raise LeftOut(f"quality {response.get('quality')}")
    source = sources.get(str(response.get("source_id")))
    if source is None:
        raise Malformed("no source with its source_id")
    completion = text(response, "response")
    found = {"prompt": text(source, "prompt"), "completion": completion, **_shown(source)}
    found |= {"labels": _labels(response, completion), "task": text(source, "task_type")}
    return found | {name: response[name] for name in ("id", "source_id", "model", "split") if name in response}


def _shown(source: Fields) -> dict[str, Any]:
    """The passages of a source, and its question if it has one; of structured data, its JSON."""
    info = source.get("source_info")
    if isinstance(info, str):
        return {"passages": [{"text": info.strip()}]}
    if not isinstance(info, Mapping):
        raise Malformed("missing 'source_info'")
    if "passages" not in info:
        return {"passages": [{"text": json.dumps(info, ensure_ascii=False)}]}
    parts = [part.strip() for part in _PASSAGE.split(text(info, "passages"))]
    return {"question": text(info, "question"), "passages": [{"text": part} for part in parts if part]}


def _labels(response: Fields, completion: str) -> list[dict[str, Any]]:
    labels = response.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, Mapping) for label in labels):
        raise Malformed("'labels' is not a list of objects")
    for label in labels:
        start, end = label.get("start"), label.get("end")
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(completion)):
            raise Malformed("a label lies outside its response")
        if isinstance(label.get("text"), str) and label["text"].split() != completion[start:end].split():
            raise Malformed("a label's text is not what stands at its place")
    return [dict(label) for label in sorted(labels, key=lambda label: (label["start"], label["end"]))]


def _file(folder: Path, name: str) -> Path:
    files = (folder / f"{name}{suffix}" for suffix in ("", *COMPRESSED))
    if (found := next((file for file in files if file.is_file()), None)) is None:
        raise RowError(f"{folder} has no {name}; a folder of RAGTruth has response.jsonl and source_info.jsonl.")
    return found
