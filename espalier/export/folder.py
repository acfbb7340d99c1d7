"""Where an export goes: room on the disk, and a folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from espalier.errors import RunError
from espalier.train.disk import full_disk

MARGIN = 64 << 20  # bytes left free: tokenizer, card, and whatever else writes to that disk


@contextlib.contextmanager
def fresh(folder: Path, needed: int) -> Iterator[Path]:
    """A folder to write into that takes its name at the end, and is gone if anything goes wrong.

    Args:
        folder: its name at the end.
        needed: bytes that will be written, about.

    Raises:
        RunError: it is there already, there is no place for it, or no room.
    """
    if folder.exists() or folder.is_symlink():
        raise RunError(f"{folder} is there already. Remove it, or give another folder: --out PATH.")
    parent = folder.absolute().parent
    if not parent.is_dir():
        raise RunError(f"{folder}: there is no folder {str(folder.parent)!r} to write into. Make it first.")
    free = shutil.disk_usage(parent).free
    if free < needed + MARGIN:
        raise RunError(
            f"the export needs {size(needed + MARGIN)} and {str(folder.parent)!r} has {size(free)} free. Free some "
            "space, or give a folder on another disk: --out PATH."
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with full_disk(folder, "Nothing was kept."):
            partial.mkdir()
            yield partial
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def written(folder: Path) -> list[tuple[str, int]]:
    """The files of a folder with their sizes in bytes, the largest first."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = [(str(path.relative_to(folder)), path.stat().st_size) for path in files]
    return sorted(found, key=lambda item: (-item[1], item[0]))


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
