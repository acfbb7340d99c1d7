"""The texts of tokens: together they are the text, whatever a tokenizer or a server makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.lm.pieces import of_choice, spelled


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")


@given(st.text(max_size=12))
def test_property_the_texts_of_byte_tokens_are_the_text(text):
    ids = list(text.encode("utf-8", "ignore"))
    pieces = spelled(decode, ids)
    assert len(pieces) == len(ids) and "".join(pieces) == decode(ids)


def test_a_character_of_several_tokens_belongs_to_the_last():
    assert spelled(decode, list("a한b".encode())) == ("a", "", "", "한", "b")
    assert spelled(decode, []) == ()


def test_formula_tokens_of_a_server_are_aligned_with_its_text():
    plain = {"tokens": ["He", " sang", ".", "</s>"]}
    assert of_choice(plain, "He sang.") == ("He", " sang", ".", "")
    assert of_choice({"tokens": [" He", " sang"]}, "He sang") == ("He", " sang")  # a stripped answer
    chat = {"content": [{"token": "He"}, {"token": " sang"}]}
    assert of_choice(chat, "He sang") == ("He", " sang")
    split = [{"token": "?", "bytes": [0xED, 0x95]}, {"token": "?", "bytes": [0x9C]}, {"token": "!", "bytes": [33]}]
    assert of_choice({"content": split}, "한!") == ("", "한", "!")


@pytest.mark.parametrize("found", [{}, {"tokens": ["She", " sang"]}, {"tokens": ["He"]}])
def test_tokens_that_are_not_the_text_are_none(found):
    assert of_choice(found, "He sang") == ()
