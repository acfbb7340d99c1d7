"""Self-Instruct tasks: instruction and instances, a list of {"input", "output"}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espalier.formats import alpaca
from espalier.formats.fields import Fields, Malformed

TITLE = "Self-Instruct tasks"
FIELDS = frozenset({"instruction", "instances"})


def detect(row: Fields) -> bool:
    """An instruction with its instances."""
    return {"instruction", "instances"} <= row.keys()


def convert(row: Fields) -> dict[str, Any]:
    """Prompt and completion of the only instance; a task with several must be written one instance a row."""
    instances = row.get("instances")
    if not isinstance(instances, list) or not all(isinstance(instance, Mapping) for instance in instances):
        raise Malformed("'instances' is not a list of objects")
    if len(instances) != 1:
        raise Malformed("not exactly one instance", f"{len(instances)} instances; write each as a row of its own")
    return alpaca.convert({"instruction": row.get("instruction"), **instances[0]})
