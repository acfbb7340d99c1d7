"""Tiny tokenizers built in code: every trap of the real ones, no file and no download.

byte_tokenizer        one token a byte (byte-level, like GPT-2's alphabet)
bpe_tokenizer         the same with merges, which may run across any boundary
metaspace_tokenizer   SentencePiece manners: a dummy space before the text, unknown characters as bytes
chat_tokenizer        byte level with chat markers and a template
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from tests.templates import CHATML


def _finish(core: Tokenizer, markers: Sequence[str], bos: bool, eos: bool, pad: str | None, **more: Any) -> Any:
    start, end = "<s>" if bos else None, "</s>" if eos else None
    core.add_special_tokens([token for token in (start, end, *markers) if token])
    if start:
        core.post_processor = processors.TemplateProcessing(
            single=f"{start} $A", special_tokens=[(start, core.token_to_id(start))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=start, eos_token=end, pad_token=pad, **more)


def bpe_tokenizer(
    merges: Sequence[tuple[str, str]] = (),
    *,
    markers: Sequence[str] = (),
    bos: bool = True,
    eos: bool = True,
    pad: str | None = None,
    template: str | None = None,
) -> Any:
    """Byte-level BPE without words: merges, written in its alphabet ("Ġ" is a space), apply everywhere."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*alphabet, *dict.fromkeys(left + right for left, right in merges)]
    core = Tokenizer(BPE({piece: number for number, piece in enumerate(pieces)}, list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return _finish(core, markers, bos, eos, pad, chat_template=template)


def byte_tokenizer(*, bos: bool = True, eos: bool = True, pad: str | None = None, template: str | None = None) -> Any:
    """One token a byte, then <s> (added to every text) and </s>; 256 or more ids."""
    return bpe_tokenizer(bos=bos, eos=eos, pad=pad, template=template)


def metaspace_tokenizer(
    merges: Sequence[tuple[str, str]] = (("h", "e"), ("▁", "he")),
    *,
    legacy: bool = True,
    markers: Sequence[str] = (),
    bos: bool = True,
    eos: bool = True,
    template: str | None = None,
) -> Any:
    """Llama's manners: "▁" for a space and one more before the text, bytes for what has no token of its own.

    Args:
        merges: applied in order.
        legacy: a normalizer puts the first "▁" before the text and after every special token; otherwise Metaspace
            puts it before the text only.
        markers: further special tokens.
        bos: whether texts begin with <s>.
        eos: whether there is </s>.
        template: the chat template.
    """
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    pieces += dict.fromkeys(left + right for left, right in merges)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    core = Tokenizer(BPE(vocabulary, list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tail = [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    if legacy:
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), *tail])
    return _finish(core, markers, bos, eos, None, unk_token="<unk>", chat_template=template)


def chat_tokenizer(
    template: str = CHATML,
    *,
    markers: Sequence[str] = ("<|im_start|>", "<|im_end|>"),
    merges: Sequence[tuple[str, str]] = (),
    bos: bool = False,
    eos: bool = True,
    pad: str | None = None,
) -> Any:
    """A byte-level tokenizer with chat markers as special tokens and a template, ChatML unless told."""
    return bpe_tokenizer(merges, markers=markers, bos=bos, eos=eos, pad=pad, template=template)
