"""Questions looked through: accepted, edited or refused, each decision in the file before the next.

What is refused leaves FILE.jsonl, so that whoever reads it has good questions only, and stands in FILE.refused.jsonl,
from where it can be taken back. `review` of a row is "accepted" or "edited", or missing where nobody has looked yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espalier.citing import locate
from espalier.collecting import write_rows
from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.questions import accepted, is_question, passages_of
from espalier.formats.fields import Malformed
from espalier.formats.files import records

ACCEPTED, EDITED, REFUSED = "accepted", "edited", "refused"


class Questions:
    """The rows of a file on a page.

    Args:
        file: rows with question, answers and passages.

    Raises:
        RowError: it holds none, or something else.
    """

    name = "questions"

    def __init__(self, file: Path) -> None:
        self.file, self.title = file, f"Questions in {file.name}"
        self.aside = file.with_name(f"{file.stem}.refused{file.suffix}")
        refused = _rows(self.aside) if self.aside.exists() else []
        known = {str(row.get("question")) for row in refused}
        self.rows = [row for row in _rows(file) if str(row.get("question")) not in known]
        for row in sorted(refused, key=lambda row: int(row.get("position", 0))):
            self.rows.insert(int(row.pop("position", 0)), row | {"review": REFUSED})
        if not self.rows:
            raise RowError(f"{file} holds no questions.")

    def state(self) -> dict[str, Any]:
        """All questions, and how many have been looked at."""
        return {"items": [self._shown(at) for at in range(len(self.rows))], "counts": self.counts()}

    def act(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Decide about one question."""
        at, verdict = asked.get("at"), asked.get("verdict")
        if not isinstance(at, int) or not 0 <= at < len(self.rows):
            raise RowError("there is no such question; load the page again.")
        row = dict(self.rows[at])
        if verdict == EDITED:
            row = _edited(row, asked)
        elif verdict is None:
            row.pop("review", None)
        elif verdict not in (ACCEPTED, REFUSED):
            raise RowError(f"{verdict!r} is no verdict.")
        if verdict is not None:
            row["review"] = verdict
        before, self.rows[at] = self.rows[at], row
        try:
            self._save(taking_back=before.get("review") == REFUSED)
        except BaseException:
            self.rows[at] = before
            raise
        return {"item": self._shown(at), "counts": self.counts()}

    def counts(self) -> dict[str, int]:
        """How many were accepted, edited, refused, and how many are left."""
        found = Counter(str(row.get("review") or "left") for row in self.rows)
        return {name: found[name] for name in (ACCEPTED, EDITED, REFUSED, "left")}

    def _save(self, *, taking_back: bool) -> None:
        """Both files; a question is written where it goes before it is taken from where it was."""
        kept = [Row(row) for row in self.rows if row.get("review") != REFUSED]
        lost = [Row(row, position=at) for at, row in enumerate(self.rows) if row.get("review") == REFUSED]
        steps = [(self.aside, lost), (self.file, kept)]
        for file, rows in steps[::-1] if taking_back else steps:
            if rows or file.exists():
                write_rows(file, rows)

    def _shown(self, at: int) -> dict[str, Any]:
        """A row as the page needs it; the passage in three pieces, of which the second is the quote."""
        row = self.rows[at]
        passages = passages_of(row)
        passage = next((one for one in passages if one.gold), passages[0] if passages else None)
        text, quote = passage.text if passage else "", str(row.get("quote") or "")
        start, end = (locate(quote, text) if quote else None) or (0, 0)
        return {
            "at": at,
            "question": str(row["question"]),
            "answers": list(accepted(row)),
            "quote": quote,
            "passage": [text[:start], text[start:end], text[end:]],
            "title": passage.title if passage else "",
            "source": ", ".join(filter(None, (str(row.get("document") or ""), str(row.get("place") or "")))),
            "languages": " about ".join(dict.fromkeys(str(row[k]) for k in ("lang", "gold_lang") if row.get(k))),
            "review": row.get("review"),
        }


def _edited(row: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The row with what was typed.

    Raises:
        RowError: a part is empty, or the quote does not stand in the passage.
    """
    question, quote = (" ".join(str(asked.get(name) or "").split()) for name in ("question", "quote"))
    typed = asked.get("answers")
    answers = [str(one).strip() for one in typed if str(one).strip()] if isinstance(typed, list) else []
    if not question or not answers:
        raise RowError("A question needs its text and at least one answer.")
    found = {**row, "question": question, "answers": answers}
    found.pop("answer", None)
    passages = passages_of(row)
    gold = next((one for one in passages if one.gold), None)
    if not quote or gold is None:
        return found
    place = locate(quote, gold.text)
    if place is None:
        raise RowError("The quote does not stand in the passage. Copy it from there.")
    before = locate(str(row.get("quote") or ""), gold.text)
    if before and isinstance(row.get("start"), int):
        begins = row["start"] - before[0]
        found |= {"start": begins + place[0], "end": begins + place[1]}
    return {**found, "quote": gold.text[slice(*place)]}


def _rows(file: Path) -> list[dict[str, Any]]:
    found = []
    for where, row in records(file):
        if isinstance(row, Malformed) or not is_question(row):
            raise RowError(f"{where}: it is no question with answers; name a file that `espalier questions` wrote.")
        passages_of(Row(row, where))
        found.append(dict(row))
    return found
