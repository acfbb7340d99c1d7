"""Rows that a curator makes, written down as they are made: what is stopped or killed goes on with the next row.

While it runs, OUT.partial holds one line for each row that is done, with what came of it. At the end the rows that were
kept are written to OUT, whole or not at all, and the partial file is removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import IO, Any

from espalier.contracts import Curator, Row
from espalier.curating import Curated, EachRow, Item
from espalier.errors import RowError, RunError
from espalier.lm.failures import RefusedError
from espalier.rows import Dropped
from espalier.run import write_text

UNUSABLE = "cannot be used"
Made = tuple[int, list[Item]]  # the number of a row, and what came of it


@dataclass
class Collected:
    """What came of the rows: kept, dropped, and what it took; `finished` unless it was stopped before the last row."""

    kept: list[Row] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    spent: Counter[str] = field(default_factory=Counter)
    done: int = 0
    finished: bool = True


@dataclass(frozen=True)
class Work:
    """What a curator works with.

    Attributes:
        workers: rows at once; above 1 only where all that is asked may be asked from several threads.
        meter: what was spent so far, by name.
        progress: told how many rows are done, and of how many.
        stop: asked before each row whether to stop.
    """

    workers: int = 1
    meter: Callable[[], Mapping[str, int]] = dict
    progress: Callable[[int, int], None] = lambda done, total: None
    stop: Callable[[], bool] = lambda: False


def collect(curator: Curator, rows: Sequence[Row], partial: Path, about: Mapping[str, Any], work: Work) -> Collected:
    """Have a curator work on rows, and go on from what a partial file holds.

    Args:
        curator: one that works on `EachRow` can go on; any other begins again.
        rows: all of them.
        partial: where what is done is kept; it stays, for whoever writes the rows to remove.
        about: what decides the result beside the rows; a partial file about something else is renamed.
        work: how.

    Raises:
        EspalierError: what the curator raises, but for rows that cannot be used: these are dropped.
        RunError: another process is at work on the partial file.
    """
    if not isinstance(curator, EachRow):
        curated = curator.curate(rows)
        kept = list(curated)
        dropped = list(getattr(curated, "dropped", ()))
        return Collected(kept, dropped, Counter(work.meter()), len(rows))
    with _Partial.opened(partial, about) as file:
        keys = [_key(number, row) for number, row in enumerate(rows)]
        todo = [number for number, key in enumerate(keys) if key not in file.made]
        before, there = Counter(work.meter()), len(rows) - len(todo)
        work.progress(there, len(rows))
        for new, (number, items) in enumerate(_working(curator, rows, todo, work), 1):
            now = Counter(work.meter())
            file.add(keys[number], items, now - before)
            before = now
            work.progress(there + new, len(rows))
        done = [key for key in keys if key in file.made]
        found = Collected(spent=file.spent, done=len(done), finished=len(done) == len(rows))
        if found.finished:
            curated = Curated(curator.finish(item for key in done for item in file.made[key]))
            found.kept, found.dropped = list(curated), curated.dropped
    return found


def _working(curator: EachRow, rows: Sequence[Row], todo: Sequence[int], work: Work) -> Iterator[Made]:
    """What comes of each row, as soon as it is known; after a failure what is under way comes to its end first."""
    if work.workers < 2:
        for number in todo:
            if work.stop():
                return
            yield _made(curator, rows, number)
        return
    waiting: set[Future[Made]] = set()
    ahead = iter(todo)
    problem: BaseException | None = None
    with ThreadPoolExecutor(work.workers) as pool:
        while True:
            while len(waiting) < work.workers and problem is None and not work.stop():
                if (following := next(ahead, None)) is None:
                    break
                waiting.add(pool.submit(_made, curator, rows, following))
            if not waiting:
                break
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                problem = problem or future.exception()
                if future.exception() is None:
                    yield future.result()
    if problem is not None:
        raise problem


def _made(curator: EachRow, rows: Sequence[Row], number: int) -> Made:
    try:
        return number, list(curator.each(rows[number]))
    except (RowError, RefusedError) as error:  # a server refuses, for instance, a prompt that is too long
        return number, [Dropped(rows[number].where, UNUSABLE, str(error))]


def _key(number: int, row: Row) -> str:
    """A row by its place and its content: what was made of another row is not taken for this one's."""
    content = json.dumps([number, row], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class _Partial:
    """The file of what is done: a line that says what it is about, then a line for each row."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.made: dict[str, list[Item]] = {}
        self.spent: Counter[str] = Counter()

    @classmethod
    @contextmanager
    def opened(cls, path: Path, about: Mapping[str, Any]) -> Iterator[_Partial]:
        """The file with what it holds, for this process alone."""
        what = json.dumps({"about": about}, sort_keys=True, ensure_ascii=False, default=str)
        with open(path, "a+", encoding="utf-8", newline="\n") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"{path}: another process is at work there. Wait for its end, or choose another --out."
                ) from None
            file.seek(0)
            lines = file.read().split("\n")
            found = cls(file)
            if lines[0] != what:
                if len(lines) > 2:
                    write_text(aside(path), "\n".join(lines))
                file.truncate(0)
                found._write(what)
            else:
                found._take(lines[1:])
                if lines[-1]:  # cut off
                    file.write("\n")
            try:
                yield found
            finally:
                if not found.made:
                    path.unlink(missing_ok=True)

    def add(self, key: str, items: Sequence[Item], spent: Mapping[str, int]) -> None:
        """Write down what came of a row."""
        kept = [{"where": item.where, "row": item} for item in items if isinstance(item, Row)]
        kinds = "".join("d" if isinstance(item, Dropped) else "k" for item in items)
        lost = [astuple(item) for item in items if isinstance(item, Dropped)]
        line = {"key": key, "order": kinds, "kept": kept, "dropped": lost, "spent": dict(spent)}
        text = json.dumps(line, ensure_ascii=False, default=str)
        self._write(text)
        self._take([text])

    def _write(self, line: str) -> None:
        self.file.write(line + "\n")
        self.file.flush()

    def _take(self, lines: Sequence[str]) -> None:
        """Read lines; the last may have been cut off."""
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            kept = (Row(each["row"], each["where"]) for each in found["kept"])
            lost = (Dropped(*each) for each in found["dropped"])
            self.made[found["key"]] = [next(lost) if kind == "d" else next(kept) for kind in found["order"]]
            self.spent.update(found["spent"])


def aside(path: Path) -> Path:
    """The first free name of NAME.old-1, NAME.old-2 ..."""
    number = 1
    while (other := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    return other


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    write_text(file, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))
