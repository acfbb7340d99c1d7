"""Token ids as llama.cpp makes them from what stands in a GGUF file: what the exported file is checked with."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise
from typing import Any

from espalier.export.gguf_tokenizer import BYTE, CONTROL, SPACE, USER_DEFINED, WHOLE_WORDS, WORDS, Vocabulary
from espalier.tokens import alternatives


class Encoder:
    """The tokenizer in a GGUF file.

    Args:
        vocabulary: as read from the file.
        start: the id put before every text, if any.
    """

    def __init__(self, vocabulary: Vocabulary, start: int | None):
        self.vocabulary, self.start = vocabulary, start
        known = list(zip(vocabulary.tokens, vocabulary.types, strict=True))
        self.ids = {token: number for number, (token, _) in enumerate(known)}
        self.bytes = {token: number for number, (token, kind) in enumerate(known) if kind == BYTE}
        self.special = re.compile(
            f"({alternatives(t for t, kind in known if kind in (CONTROL, USER_DEFINED)).pattern})"
        )

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which special tokens count as such, the start token before them."""
        ids = [] if self.start is None else [self.start]
        for number, piece in enumerate(self.special.split(text)):
            if number % 2:
                ids.append(self.ids[piece])
            elif piece:
                ids += self._words(piece) if self.vocabulary.model == "gpt2" else self._pieces(piece)
        return ids

    def _words(self, text: str) -> list[int]:
        return list(self._byte_level.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _byte_level(self) -> Any:
        """Byte-level BPE, cut into words by what the file names."""
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        vocabulary = self.vocabulary
        merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in vocabulary.merges)]
        core = Tokenizer(models.BPE(self.ids, merges, ignore_merges=vocabulary.pre in WHOLE_WORDS))
        cuts: list[Any] = [pre_tokenizers.Split(Regex(rule), "isolated") for rule in WORDS[vocabulary.pre]]
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        core.pre_tokenizer = pre_tokenizers.Sequence([*cuts, letters])
        return core

    def _pieces(self, text: str) -> list[int]:
        """SentencePiece: neighbors whose union is a token merge, the best score and then the leftmost first."""
        symbols = list(((" " if self.vocabulary.prefix else "") + text).replace(" ", SPACE))
        while True:
            joined = [left + right for left, right in pairwise(symbols)]
            scored = [(-self.vocabulary.scores[self.ids[s]], at) for at, s in enumerate(joined) if s in self.ids]
            if not scored:
                break
            at = min(scored)[1]
            symbols[at : at + 2] = [joined[at]]
        ids: list[int] = []
        for symbol in symbols:
            spelled = [f"<0x{byte:02X}>" for byte in symbol.encode()]
            ids += [self.ids[symbol]] if symbol in self.ids else [self.bytes[byte] for byte in spelled]
        return ids
