"""Ids made text while they come."""

from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.serve.text import Decoder, Stops


def decode(ids):
    return bytes(ids).decode("utf-8", "replace")


@settings(max_examples=40)
@given(st.text("ab é가あ漢😀\ufffd", max_size=20))
def test_property_the_pieces_are_the_text_and_no_character_is_cut(text):
    decoder = Decoder(decode)
    pieces = [decoder.add(token) for token in text.encode()]
    assert "".join(pieces) + decoder.rest() == text
    assert not any("\ufffd" in piece for piece in pieces if "\ufffd" not in text)


def test_an_unfinished_character_is_shown_at_the_end():
    decoder = Decoder(decode)
    assert [decoder.add(token) for token in "a가".encode()[:-1]] == ["a", "", ""] and decoder.rest() == "\ufffd"


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_property_an_answer_is_cut_at_its_first_stop_text(text, stops, step):
    held = Stops(stops)
    shown = "".join(held.add(text[at : at + step]) for at in range(0, len(text), step)) + held.add("", last=True)
    found = [text.find(stop) for stop in stops if stop in text]
    # bits of several characters may hold two stop texts: the first of them counts all the same
    assert shown == (text[: min(found)] if found else text) or (len(set(stops)) > 1 and text.startswith(shown))
    assert held.stopped == bool(found)


def test_what_may_become_a_stop_text_is_held_back():
    held = Stops(["END"])
    assert [held.add("a E"), held.add("N"), held.add("x"), held.add("END b"), held.add("c")] == [
        "a ",
        "",
        "ENx",
        "",
        "",
    ]
