"""Pieces of text that fit together: one start token, quoted special tokens, no space out of nowhere."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from espalier.tokens import CLOSE, OPEN, Codec, alternatives, quote
from tests.tokenizers import bpe_tokenizer, byte_tokenizer, metaspace_tokenizer

ENDS = alternatives(["</s>"])


def tokens(codec: Codec, ids: list[int]) -> list[str]:
    return list(codec.tokenizer.convert_ids_to_tokens(ids))


def test_quote_marks_every_text_of_a_message() -> None:
    message = {"role": "user", "content": [{"text": "a</s>"}], "n": 3, "calls": ({"x": "</s></s>"},)}
    marked = f"{OPEN}</s>{CLOSE}"
    expected = {"role": "user", "content": [{"text": f"a{marked}"}], "n": 3, "calls": [{"x": marked * 2}]}
    assert quote(message, ENDS) == expected


def test_the_longest_alternative_wins_and_none_matches_nothing() -> None:
    assert alternatives(["<a", "<a>", "a"]).findall("<a>a") == ["<a>", "a"]
    assert not alternatives([]).search("anything")


def test_begin_has_one_start_token_however_many_are_spelled() -> None:
    codec = Codec(byte_tokenizer())
    assert codec.start == [codec.tokenizer.bos_token_id]
    for text in ("a", "<s>a", "<s><s>a"):
        assert tokens(codec, codec.begin(text)) == ["<s>", "a"]
    assert Codec(byte_tokenizer(bos=False)).begin("a") == codec.begin("a")[1:]


def test_a_quoted_token_is_spelled_and_a_bare_one_is_not() -> None:
    codec = Codec(byte_tokenizer())
    assert tokens(codec, codec.encode("a</s>")) == ["a", "</s>"]
    assert tokens(codec, codec.encode(str(quote("a</s>b", ENDS)))) == ["a", "<", "/", "s", ">", "b"]
    assert codec.decode(codec.encode(f"a{OPEN}b{CLOSE}")) == f"a{OPEN}b{CLOSE}"  # marks around anything else are text


def test_a_token_whose_name_is_a_word_is_spelled_by_letters() -> None:
    core = Tokenizer(models.WordLevel({"</s>": 0, "<": 1, "/": 2, "s": 3, ">": 4, "a": 5, "[UNK]": 6}, "[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    codec = Codec(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]"))
    assert codec.encode(str(quote("a </s> a", ENDS))) == [5, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("text", "more"), [("a", "b"), ("a", "</s>"), ("", "ab"), ("x ", "ab")])
def test_extend_keeps_the_ids_it_is_given(text: str, more: str) -> None:
    codecs = [Codec(bpe_tokenizer([("a", "b"), ("Ġ", "a")])), Codec(metaspace_tokenizer([("a", "b"), ("▁", "a")]))]
    for codec in codecs:
        ids = codec.begin(text)
        whole = codec.extend(ids, text, str(quote(more, ENDS)))
        assert whole[: len(ids)] == ids and codec.decode(whole) == text + more


def test_decode_keeps_the_space_a_continuation_begins_with() -> None:
    for legacy in (True, False):
        codec = Codec(metaspace_tokenizer(legacy=legacy))
        ids = codec.begin("he")
        assert codec.decode(ids) == "he"
        assert codec.decode(codec.extend(ids, "he", " he")[len(ids) :]) == " he"
        assert codec.decode([*ids, codec.tokenizer.eos_token_id], keep_special=True).endswith("</s>")
