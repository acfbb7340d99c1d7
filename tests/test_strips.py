"""Strips keep their place, and are put together again."""

import pytest

from espalier.contracts import Hit
from espalier.strips import Strip, decompose, recompose


def hit(text, start=0, document="d"):
    return Hit(document, 0.0, text, start=start)


@pytest.mark.parametrize("kind", ["sentences", "words", "passage"])
@pytest.mark.parametrize(
    "text",
    ["One two. Three? Four! Five. Six", "word " * 129 + "end", "첫째 문장이다. 둘째다.", "他来了。" * 40, "short"],
)
def test_property_strips_are_the_text_at_their_places_and_hold_all_of_it(kind, text):
    strips = decompose([hit(text, 7)], kind)
    assert "".join(strip.text for strip in strips).replace(" ", "") == text.replace(" ", "")
    again = recompose([Strip(s.hit, s.start, s.end, 1.0) for s in strips], len(strips), "document")
    assert len(again) == 1 and again[0].text == text.strip() and again[0].start == 7


def test_formula_strips_are_three_sentences_or_fifty_words():
    assert [s.text for s in decompose([hit("Ann sat. Bob ran. Cid ate. Dan hid.")], "sentences")] == [
        "Ann sat. Bob ran. Cid ate.",
        "Dan hid.",
    ]
    assert [len(s.text.split()) for s in decompose([hit("w " * 112)], "words")] == [50, 50, 12]
    assert [len(s.text.split()) for s in decompose([hit("w " * 109)], "words")] == [50, 59]
    assert [s.text for s in decompose([hit("few words")], "words")] == ["few words"]  # there is none before to join
    assert decompose([hit("  ")], "passage") == []


def test_what_two_overlapping_passages_share_is_one_strip():
    strips = decompose([hit("He sang.", 10), hit("He sang.", 10), hit("He sang.", 90)], "sentences")
    assert [strip.hit.start for strip in strips] == [10, 90]


def test_the_best_are_kept_and_those_without_a_score_left_out():
    whole = hit("A. B. C.")
    strips = [Strip(whole, 0, 2, -0.5), Strip(whole, 3, 5, None), Strip(whole, 6, 8, -0.7)]
    assert [h.text for h in recompose(strips, 6, "document")] == ["A.", "C."]
    assert [h.score for h in recompose(strips, 1, "score")] == [-0.5]
