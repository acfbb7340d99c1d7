"""Text to token ids and back for any tokenizer: exactly one start token, and no surprises at a seam.

A special token that stands in a user's text is text, not a control: `quote` puts it between two marks (characters that
Unicode reserves for such use), a chat template may copy it wherever it likes, and `Codec.encode` spells it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

OPEN, CLOSE = "\ufdd0", "\ufdd1"
ANCHORS = ("\n", "\x01")  # characters that no tokenizer we know merges with what follows


def alternatives(tokens: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches any of the tokens, the longest first; none matches nothing."""
    return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or "(?!)")


def quote(value: Any, control: re.Pattern[str]) -> Any:
    """Mark the control tokens in a text, or in every text of a message."""
    if isinstance(value, str):
        return control.sub(rf"{OPEN}\g<0>{CLOSE}", value)
    if isinstance(value, dict):
        return {key: quote(item, control) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [quote(item, control) for item in value]
    return value


class Codec:
    """A tokenizer whose pieces fit together.

    Attributes:
        special: the texts of its special tokens.
        start: the ids every sequence begins with, exactly once; empty for a tokenizer without BOS.
    """

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        added = [token for token in tokenizer.added_tokens_decoder.values() if token.content.strip()]
        self.added = {token.content for token in added}  # what the tokenizer cuts out before anything else
        self.special = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
        bare, dressed = self._ids("a"), list(tokenizer.encode("a"))
        at = next((i for i in range(len(dressed)) if dressed[i : i + len(bare)] == bare), 0)
        self.start = dressed[:at]
        first = tokenizer.convert_ids_to_tokens(bare[:1])
        self._dummy = bool(first) and first[0][:1] in ("▁", "Ġ")  # a space that is not in the text
        self._quoted = re.compile(f"{OPEN}({alternatives(self.special | self.added).pattern}){CLOSE}")

    def encode(self, text: str, continues: bool = False) -> list[int]:
        """Ids of a text in which special tokens count as such, except quoted ones; no start token.

        Args:
            text: what to encode.
            continues: whether it stands after another text, so that no dummy space goes before it.
        """
        head, *rest = self._quoted.split(text) if OPEN in text else [text]  # text, quoted, text, ..., quoted, text
        ids = self._after(head) if continues else self._ids(head)
        for number, piece in enumerate(rest):
            ids += self._spelled(piece) if number % 2 == 0 else self._after(piece)
        return ids

    def begin(self, text: str) -> list[int]:
        """Ids of a whole sequence: the start token exactly once, whether the text spells it or not."""
        ids, start = self.encode(text), self.start
        while start and ids[: len(start)] == start:
            ids = ids[len(start) :]
        return start + ids

    def extend(self, ids: list[int], text: str, more: str) -> list[int]:
        """Ids of `text` and `more` that begin with `ids`, the ids of `text`.

        The two are tokenized together if that leaves `ids` as they are, which is what pre-training saw; where a merge
        runs across the seam, `more` is tokenized by itself, without the space that some tokenizers put before a text.
        """
        joint = self.begin(text + more)
        return joint if joint[: len(ids)] == ids else ids + self.encode(more, continues=True)

    def decode(self, ids: Sequence[int], keep_special: bool = False) -> str:
        """The text of a sequence or, if it lacks the start token, of the continuation of one (leading space kept)."""
        whole = not (self._dummy and self.start) or list(ids[: len(self.start)]) == self.start
        anchor = [] if whole else self._ids(ANCHORS[0])
        text = self._text([*anchor, *ids], keep_special)
        return text[len(self._text(anchor, keep_special)) :] if anchor else text

    def _ids(self, text: str, spell: bool = False) -> list[int]:
        options = {"add_special_tokens": False, "split_special_tokens": spell, "verbose": False}
        return list(self.tokenizer.encode(text, **options))

    def _text(self, ids: list[int], keep_special: bool) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=not keep_special, clean_up_tokenization_spaces=False))

    def _after(self, text: str, spell: bool = False) -> list[int]:
        """Ids of a text that stands after another."""
        for anchor in ANCHORS if self._dummy and text else ():
            before, ids = self._ids(anchor), self._ids(anchor + text, spell)
            if ids[: len(before)] == before:
                return ids[len(before) :]
        return self._ids(text, spell)

    def _spelled(self, token: str) -> list[int]:
        """Ids of a special token's name as ordinary text."""
        ids = self._after(token, spell=True)
        if self.tokenizer.convert_tokens_to_ids(token) in ids:  # its name is a word of the vocabulary
            ids = [number for letter in token for number in self._after(letter, spell=True)]
        return ids
