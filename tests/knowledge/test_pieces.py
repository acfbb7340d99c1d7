from espalier.knowledge.lengths import Measure
from espalier.knowledge.pieces import SENTENCES, packed, pieces, trimmed

TEXT = "One two. Three four.\n\nFive six seven."


def texts(limit, **options):
    return [TEXT[a:b] for a, b in pieces(Measure(TEXT), 0, len(TEXT), limit, **options)]


def test_the_largest_parts_that_fit():
    assert texts(30) == ["One two. Three four.", "Five six seven."]
    assert texts(30, level=SENTENCES) == ["One two.", "Three four.", "Five six seven."]
    assert texts(15) == ["One two.", "Three four.", "Five six seven."]
    assert texts(3)[:4] == ["One", "two", ".", "Thr"]
    assert trimmed("  a ", 0, 4) == (2, 3) and trimmed("   ", 0, 3) is None


def test_what_is_longer_than_its_parts_together_is_packed_less():
    spans = [(0, 8), (9, 20), (22, 37)]
    assert list(packed(Measure(TEXT), spans, len(TEXT), 40)) == [(0, 2)]

    def length(text):
        return len(text) * (1 if len(text) < 16 else 3)

    assert list(packed(Measure(TEXT, length), spans, len(TEXT), 40)) == [(0, 0), (1, 1), (2, 2)]
