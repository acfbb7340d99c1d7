"""Run folders as a run leaves them, for what reads them."""

import json
from pathlib import Path
from typing import Any

from espalier.audit import Audit

RECIPE = 'model = "m"\ndata = "d.jsonl"\nout = "r"\n\n[objective]\nmethod = "objectives/dpo"\n\n[train]\nseed = 3\n'


def difference(
    name: str = "exact match", word: str = "gained", low: float = 0.1, high: float = 0.3, n: int = 50
) -> dict[str, Any]:
    middle = (low + high) / 2
    return {
        "name": name,
        "before": 0.5,
        "after": 0.5 + middle,
        "difference": middle,
        "low": low,
        "high": high,
        "n": n,
        "word": word,
    }


def general(**changes: Any) -> dict[str, Any]:
    found = {
        "what": "general rows",
        "before": 12.1,
        "after": 14.9,
        "nats": 0.208,
        "nats_low": 0.166,
        "nats_high": 0.239,
    }
    return {**found, "change": 0.23, "low": 0.18, "high": 0.27, "n": 64, "tokens": 900, "word": "lost", **changes}


def audit(**changes: Any) -> Audit:
    found = {
        "detected": ["pairs.jsonl: preference pairs"], "read": 1200, "kept": 1100, "held": 50, "max_tokens": 512,
        "dropped": {"too long": 100}, "where": {"too long": ["pairs.jsonl, row 17"]}, "languages": {"Latin": 1.0},
        "lengths": {"row": (118, 402, 511)}, "ended": 1.0, "shared": 1.42, "warnings": ["100 of 1200 rows are dropped"],
        "shown": [("Hi?", False), ("Hello.</s>", True)], "shown_where": "pairs.jsonl, row 1",
    }  # fmt: skip
    return Audit(**found | changes)


def write_run(
    folder: Path, *, differences: Any = (), samples: Any = (), events: Any = (), state: str = "finished", **info: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    content = {"state": state, "steps": 40, "started": "2026-01-02 03:04:05", "seconds": 200.0, **info}
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "audit.json").write_text(json.dumps(audit().__dict__), encoding="utf-8")
    for name, lines in (("samples.jsonl", samples), ("metrics.jsonl", events)):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    if differences:
        (folder / "evaluation.json").write_text(json.dumps({"differences": list(differences)}), encoding="utf-8")
    return folder
