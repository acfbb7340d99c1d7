"""Two answers to each prompt, side by side and blind: which is better, how often, and the votes as preference rows.

OUT.ballot.jsonl holds the answers, which stood left, and every vote; OUT.jsonl the pairs that follow from it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import seeding
from espalier.collecting import write_rows
from espalier.contracts import Prompt, Row
from espalier.errors import RowError, RunError
from espalier.maths.intervals import Interval, wilson
from espalier.messages import history_of, text_of

SIDES = ("left", "right")
TIE = "tie"


@dataclass(frozen=True)
class Result:
    """How often the first was preferred; `rate` is of the votes for either, None before there is one."""

    wins: int
    losses: int
    ties: int
    same: int  # answers that are equal, which nobody was asked about
    left: int  # rows without a vote
    rate: Interval | None


def result(votes: Sequence[int | None], same: int, left: int) -> Result:
    """What votes amount to.

    Args:
        votes: 0 for the first, 1 for the second, None for a tie.
        same: rows whose answers are equal.
        left: rows without a vote.
    """
    wins, losses, ties = (sum(vote == value for vote in votes) for value in (0, 1, None))
    rate = wilson(wins, wins + losses) if wins + losses else None
    return Result(wins, losses, ties, same, left, rate)


class Ballot:
    """Votes on answers; what was voted is in the file before the next is shown.

    Args:
        out: the file of pairs.
        names: what answered.
        answered: rows with prompt and two `answers`.
        about: what decides the answers; a ballot about something else is not gone on with.
        seed: of which answer stands left.

    Raises:
        RunError: the ballot there is about something else.
    """

    name = "ballot"
    title = "Which answer is better?"

    def __init__(
        self, out: Path, names: tuple[str, str], answered: Sequence[Row], about: Mapping[str, Any], *, seed: int = 0
    ) -> None:
        self.out, self.names, self.about = out, names, json.loads(json.dumps(about, default=str))
        self.file = ballot_file(out)
        if self.file.exists():
            self.rows = _read(self.file, self.about)
        else:
            self.rows = [_drawn(row, seed, at) for at, row in enumerate(answered)]
            self._save()

    def state(self) -> dict[str, Any]:
        """The next two answers, without whose they are; when all are voted on, the result too."""
        found: dict[str, Any] = {"total": len(self._asked()), "done": len(self._cast())}
        row = next((row for row in self._asked() if "cast" not in row), None)
        if row is None:
            return found | self.told()
        answers = [row["answers"][row["left"]], row["answers"][1 - row["left"]]]
        return found | {"at": self.rows.index(row), "prompt": shown(row["prompt"]), "answers": answers}

    def act(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Vote, take the last vote back, or tell the result so far."""
        if asked.get("result"):
            return self.state() | self.told()
        cast = self._cast()
        if asked.get("undo"):
            if not cast:
                raise RowError("There is no vote to take back.")
            row = max(cast, key=lambda row: int(row["cast"]))
            before = dict(row)
            del row["cast"], row["vote"]
        else:
            at, vote = asked.get("at"), asked.get("vote")
            if vote not in (*SIDES, TIE) or not isinstance(at, int) or not 0 <= at < len(self.rows):
                raise RowError("The page asked for a vote that cannot be; load it again.")
            row = self.rows[at]
            if "cast" in row:  # the key was pressed twice
                return self.state()
            before = dict(row)
            row |= {"vote": vote, "cast": max((int(one["cast"]) for one in cast), default=0) + 1}
        try:
            self._save()
        except BaseException:
            row.clear()
            row |= before
            raise
        return self.state()

    def result(self) -> Result:
        """What the votes amount to so far."""
        votes = [_winner(row) for row in self._cast()]
        return result(votes, len(self.rows) - len(self._asked()), len(self._asked()) - len(votes))

    def told(self) -> dict[str, Any]:
        """The result for the page."""
        found = self.result()
        rate = found.rate and [found.rate.value, found.rate.low, found.rate.high]
        return {"result": {**vars(found), "rate": rate, "names": list(self.names)}}

    def _asked(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["answers"][0] != row["answers"][1]]

    def _cast(self) -> list[dict[str, Any]]:
        return [row for row in self._asked() if "cast" in row]

    def _save(self) -> None:
        """The ballot first: the pairs follow from it."""
        write_rows(self.file, [Row({"about": self.about}), *map(Row, self.rows)])
        pairs = [self._pair(row, winner) for row in self._cast() if (winner := _winner(row)) is not None]
        if pairs or self.out.exists():
            write_rows(self.out, pairs)

    def _pair(self, row: Mapping[str, Any], winner: int) -> Row:
        """A vote as a row to train on, in the form of its prompt."""
        texts = [row["answers"][winner], row["answers"][1 - winner]]
        if not isinstance(row["prompt"], str):
            texts = [[{"role": "assistant", "content": text}] for text in texts]
        return Row(
            prompt=row["prompt"], chosen=texts[0], rejected=texts[1], chosen_from=self.names[winner],
            rejected_from=self.names[1 - winner], left=self.names[row["left"]],
        )  # fmt: skip


def ballot_file(out: Path) -> Path:
    """Where the votes stand whose pairs are in `out`."""
    return out.with_name(f"{out.stem}.ballot{out.suffix}")


def shown(prompt: Prompt) -> list[list[str]]:
    """A prompt as the page shows it: who says what."""
    return [[str(message.get("role") or ""), text_of(message)] for message in history_of(prompt)]


def _drawn(row: Row, seed: int, at: int) -> dict[str, Any]:
    return {
        "prompt": row["prompt"],
        "answers": list(row["answers"]),
        "left": random.Random(seeding.derive(seed, "left", at)).randrange(2),
    }


def _winner(row: Mapping[str, Any]) -> int | None:
    """Whose answer was preferred; None for neither."""
    if row["vote"] == TIE:
        return None
    return int(row["left"]) if row["vote"] == SIDES[0] else 1 - int(row["left"])


def _read(file: Path, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        head, *rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        known = head["about"]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{file} cannot be read as votes; name another --out.") from None
    if known != about:
        changed = ", ".join(sorted(name for name in {*known, *about} if known.get(name) != about.get(name)))
        raise RunError(f"{file} has votes on something else ({changed} differ); name another --out.")
    return rows
