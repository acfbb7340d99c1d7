"""Where rows come from: a file, a folder of files, a folder saved by `datasets`, or a dataset of the Hugging Face hub.

A path never touches the network; the hub is asked only for an "org/name" that is no path here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError, unknown
from espalier.formats.fields import Malformed
from espalier.formats.files import READ, Record, note, records
from espalier.formats.text import COMPRESSED, plain_suffix

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib")

_METADATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_SPLIT = re.compile(r"(?<![a-z])(train|test|val|dev|eval)(?:ing|id|idation|uation)?(?![a-z])")
_SPLITS = {"train": "train", "test": "test", "val": "validation", "dev": "validation", "eval": "validation"}


@dataclass(frozen=True)
class Source:
    """A name to show, a way to read the records from the start, and what is worth telling about it."""

    name: str
    records: Callable[[], Iterator[Record]]
    notes: tuple[str, ...] = ()


def find(given: str | Path, split: str | None) -> Source:
    """The source at a path or of a hub id."""
    path = Path(given).expanduser()
    if not str(given).strip():
        raise RowError("the path of the data is empty; name a file, a folder or a dataset.")
    if path.is_dir():
        return _folder(path, split)
    if path.exists():
        return _file(path, split)
    if isinstance(given, str) and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", given) and not _looks_local(path):
        return _hub(given, split)
    raise _missing(path)


def of_dicts(given: Iterable[Mapping[str, Any]]) -> Source:
    """The source of rows already in memory; an iterator, which can be read only once, is kept as a list."""
    kept = list(given) if iter(given) is given else given
    return Source("rows", lambda: _numbered("", kept))


def _numbered(prefix: str, values: Iterable[Any]) -> Iterator[Record]:
    for number, value in enumerate(values, 1):
        where = value.where if isinstance(value, Row) else f"{prefix}row {number}"
        yield where, value if isinstance(value, Mapping) else Malformed("not an object", f"a {type(value).__name__}")


def _file(path: Path, split: str | None) -> Source:
    suffix = plain_suffix(path)
    if suffix in PICKLES:
        raise RowError(f"{path.name} is a pickle, which can run code when opened; save the rows as JSONL or Parquet.")
    if suffix not in READ:
        raise RowError(f"{path.name} is no kind of file that holds rows; known are {_known()}.")
    if split is not None:
        raise RowError(f"{path.name} is one file and has no split {split!r}; leave split out or name a folder.")
    if not path.stat().st_size:
        raise RowError(f"{path.name} is empty.")
    told = note(path)
    return Source(path.name, lambda: records(path), (told,) if told else ())


def _folder(path: Path, split: str | None) -> Source:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _saved(path, split)
    inside = sorted(file for file in path.rglob("*") if plain_suffix(file) in READ and file.is_file())
    hidden = [file for file in inside if any(part.startswith(".") for part in file.relative_to(path).parts)]
    files = [file for file in inside if file not in hidden and file.name not in _METADATA]
    if not files:
        raise RowError(f"the folder {path} holds no data; rows are looked for in {_known()}.")
    splits = {file: _split_of(file.relative_to(path)) for file in files}
    wanted = "train" if "train" in splits.values() else None
    if split is not None:
        wanted = _split_of(Path(split)) or split
    chosen = [file for file in files if wanted in (None, splits[file])]
    if not chosen:
        raise RowError(f"{path.name}: {unknown('split', str(split), set(filter(None, splits.values())))}")
    told = sorted({told for file in chosen if (told := note(file))})
    if wanted:
        told.append(f"only the split {wanted}" if len(chosen) < len(files) else f"split {wanted}")
    return Source(path.name, lambda: (record for file in chosen for record in records(file)), tuple(told))


def _split_of(path: Path) -> str | None:
    found = _SPLIT.search(path.as_posix().lower())
    return _SPLITS[found[1]] if found else None


def _saved(path: Path, split: str | None) -> Source:
    import datasets

    try:
        found = datasets.load_from_disk(str(path))
    except Exception as problem:
        raise RowError(f"{path} is not a dataset that `datasets` can load: {_first_line(problem)}.") from problem
    return _dataset(path.name, found, split)


def _hub(name: str, split: str | None) -> Source:
    import datasets

    try:
        found = datasets.load_dataset(name)
    except Exception as problem:  # of a dozen kinds: offline, missing, gated, a configuration to name
        raise RowError(
            f"{name} is no file or folder here and could not be loaded from the Hugging Face hub "
            f"({_first_line(problem)}); check the spelling, your connection and, if it is gated, `hf auth login`, "
            "or download it and give its folder."
        ) from problem
    return _dataset(name, found, split)


def _dataset(name: str, found: Any, split: str | None) -> Source:
    """A dataset, or the wanted split of a dict of them: "train" or the only one if none was named."""
    if not isinstance(found, Mapping):
        if split is not None:
            raise RowError(f"{name} is one dataset and has no split {split!r}; leave split out.")
        return Source(name, lambda: _numbered(f"{name}, ", found))
    wanted = split or ("train" if "train" in found or len(found) != 1 else next(iter(found)))
    if wanted not in found:
        raise RowError(f"{name}: {unknown('split', wanted, found, also='Choose one with split.')}")
    return Source(name, lambda: _numbered(f"{name}, ", found[wanted]), (f"split {wanted}",))


def _looks_local(path: Path) -> bool:
    return path.parent.is_dir() or plain_suffix(path) in (*READ, *PICKLES)


def _missing(path: Path) -> RowError:
    if not path.parent.is_dir():
        return RowError(f"there is no {path}: the folder {path.parent} does not exist.")
    near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " Check the path; a dataset of the hub is written org/name."
    return RowError(f"there is no file or folder {path.name!r} in {path.parent.resolve()}.{hint}")


def _known() -> str:
    return f"{', '.join(READ)}, also with {', '.join(COMPRESSED)}"


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0].rstrip(".")
