r"""The tokenizer as GGUF holds it, and as llama.cpp reads it from there.

llama.cpp knows how a byte-level tokenizer cuts a text into words by a name, not by the rules themselves. The name is
found here by comparing the rules of tokenizer.json with those behind each name, so that a tokenizer nobody has seen
gets the right one, and one with rules of its own is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from espalier.errors import ModelError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # GGUF's token types
SPACE = "\u2581"  # how SentencePiece writes a space

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*"
WORDS = {  # llama.cpp's name -> the rules by which a text is cut, one after the other
    "gpt-2": (GPT2,),
    "smollm": (r"\p{N}", GPT2),
    "llama-bpe": (rf"{ENDINGS}|\p{{N}}{{1,3}}|{REST}",),
    "qwen2": (rf"{ENDINGS}|\p{{N}}|{REST}",),
    "tekken": (rf"{CASED}|\p{{N}}|" + REST.replace("\\n]*", "\\n/]*", 1),),
}
WHOLE_WORDS = ("llama-bpe", "tekken")  # for these llama.cpp takes a word that is a token before it looks at merges
CONVERTER = "Export with --to hf, and give that folder to llama.cpp's converter (convert_hf_to_gguf.py)."


@dataclass
class Vocabulary:
    """A tokenizer as GGUF holds it.

    Attributes:
        model: "gpt2" for byte-level BPE, "llama" for SentencePiece's.
        pre: how a text is cut into words, by llama.cpp's name.
        tokens: by id.
        types: of each, in GGUF's numbers.
        merges: "left right", the earliest first; of byte-level BPE.
        scores: what is merged first has the highest; of SentencePiece.
        prefix: whether a space is put before a text; of SentencePiece.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    prefix: bool = False

    @classmethod
    def of(cls, tokenizer: Any, size: int) -> Vocabulary:
        """From a Hugging Face tokenizer.

        Args:
            tokenizer: with the `tokenizers` library behind it.
            size: rows of the embedding, which may be more than there are tokens.

        Raises:
            ModelError: llama.cpp has no name for how it cuts texts, or it is of another kind.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        rules = json.loads(backend.to_str()) if backend is not None else {"model": {}}
        core, vocabulary = rules["model"], tokenizer.get_vocab()
        if core.get("type") != "BPE" or not core["merges"]:
            kind = core.get("type") if core.get("type") != "BPE" else "it has no merges"
            raise ModelError(f"this tokenizer is no BPE that llama.cpp reads ({kind}). {CONVERTER}")
        if (most := max(vocabulary.values()) + 1) > size:
            raise ModelError(f"the tokenizer has {most} tokens and the model {size}: llama.cpp reads no such file.")
        tokens = [f"[PAD{number}]" for number in range(size)]
        types = [UNUSED] * len(tokens)
        for token, number in vocabulary.items():
            tokens[number], types[number] = token, NORMAL
        merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in core["merges"]]
        bytewise = not core.get("byte_fallback")
        for added in rules["added_tokens"]:
            tokens[added["id"]] = added["content"]
            types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
        if bytewise:
            return cls("gpt2", words_of(rules), tokens, types, merges=merges)
        for number, token in enumerate(tokens):
            if types[number] == NORMAL and len(token) == 6 and token.startswith("<0x"):
                types[number] = BYTE
        if (unknown := core.get("unk_token")) is not None:
            types[vocabulary[unknown]] = UNKNOWN
        ranks = {pair.replace(" ", ""): -float(rank) for rank, pair in reversed(list(enumerate(merges)))}
        lowest = -float(len(merges))
        scores = [
            ranks.get(token, lowest) if kind == NORMAL else 0.0 for token, kind in zip(tokens, types, strict=True)
        ]
        return cls("llama", "default", tokens, types, scores=scores, prefix=_prefixed(rules))

    @classmethod
    def read(cls, reader: Any) -> Vocabulary:
        """From a GGUF file."""

        def found(key: str, default: Any) -> Any:
            entry = reader.get_field(f"tokenizer.ggml.{key}")
            return default if entry is None else entry.contents()

        return cls(
            found("model", ""), found("pre", "default"), found("tokens", []), found("token_type", []),
            found("merges", []), found("scores", []), found("add_space_prefix", False),
        )  # fmt: skip

    def write(self, writer: Any) -> None:
        """Into a GGUF file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.model == "gpt2":
            writer.add_token_merges(self.merges)
        else:
            writer.add_token_scores(self.scores)
            writer.add_add_space_prefix(self.prefix)


def words_of(rules: dict[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer cuts a text into words.

    Raises:
        ModelError: it has none.
    """
    steps = _steps(rules.get("pre_tokenizer"))
    normal = (rules.get("normalizer") or {}).get("type")
    for name, known in WORDS.items():
        if steps == known and normal in (None, "NFC"):
            return name
    raise ModelError(
        "llama.cpp has no name for how this tokenizer cuts a text into words (its pre-tokenizer is none of "
        f"{', '.join(WORDS)}), so it would see other tokens than the training. {CONVERTER}"
    )


def _steps(rules: dict[str, Any] | None) -> tuple[str, ...] | None:
    """A pre-tokenizer as the patterns it cuts by; None where it does anything else."""
    rules = rules or {}
    kind = rules.get("type")
    if kind == "Sequence":
        found = [_steps(step) for step in rules["pretokenizers"]]
        return None if None in found else tuple(pattern for step in found for pattern in step or ())
    if kind == "Digits":
        return (r"\p{N}" if rules["individual_digits"] else r"\p{N}+",)
    if kind == "ByteLevel" and not rules["add_prefix_space"]:
        return (GPT2,) if rules["use_regex"] else ()
    if kind == "Split" and rules["behavior"] == "Isolated" and not rules["invert"] and "Regex" in rules["pattern"]:
        return (rules["pattern"]["Regex"],)
    return None


def _prefixed(rules: dict[str, Any]) -> bool:
    """Whether a SentencePiece-like tokenizer puts a space before a text."""
    normalizer, pre = rules.get("normalizer") or {}, rules.get("pre_tokenizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    return any(step.get("type") == "Prepend" for step in steps) or pre.get("prepend_scheme") in ("first", "always")
