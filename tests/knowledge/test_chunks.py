import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RecipeError
from espalier.knowledge.chunks import CHUNKERS, cut

GUIDE = """Before any heading.

# Guide

## Installing

Run the installer. It takes a minute.

### On Korean Windows ###

한국어 윈도에서는 설정을 바꾼다.

```sh
# not a heading
```

## [Using](use.md) `it`

Ask a question.

Old style
---------

The end.
"""
TEXTS = st.text(
    alphabet=st.sampled_from("abc 한국어中文。.!?\n#`\u0301-=|") | st.characters(codec="utf-8"), max_size=300
)


def test_headings_open_passages_and_name_them():
    found = [(chunk.title, GUIDE[chunk.start : chunk.end].split("\n")[0]) for chunk in cut(GUIDE, title="Guide")]
    assert found == [
        ("Guide", "Before any heading."),
        ("Guide > Installing", "# Guide"),  # two headings with nothing between them stay together
        ("Guide > Installing > On Korean Windows", "### On Korean Windows ###"),
        ("Guide > Using it", "## [Using](use.md) `it`"),
        ("Guide > Old style", "Old style"),
    ]
    assert cut(GUIDE, title="manual")[1].title == "manual > Guide > Installing"
    assert cut(GUIDE)[0].title == ""


def test_what_fits_stays_together():
    paragraphs = [f"{word} " * 9 + "end." for word in ("one", "two", "three", "four")]
    text = "\n\n".join(paragraphs)
    assert [text[c.start : c.end] for c in cut(text, size=110)] == ["\n\n".join(paragraphs[i : i + 2]) for i in (0, 2)]
    assert [text[c.start : c.end] for c in cut(text, size=700)] == [text]


def test_a_long_paragraph_is_cut_between_sentences_of_any_script():
    for sentence in ("서울은 대한민국의 수도이다.", "北京是中国的首都。", "Kastel is by the sea."):
        text = (" " * ("。" not in sentence)).join([sentence] * 40)
        chunks = cut(text, size=100)
        assert all(text[c.start : c.end].startswith(sentence) for c in chunks)
        assert all(text[c.start : c.end].endswith(sentence) for c in chunks)


def test_a_long_sentence_is_cut_between_words_and_a_long_word_between_characters():
    text = "word " * 100
    assert {text[c.start : c.end].replace("word", "").strip() for c in cut(text, size=52)} == {""}
    text = "가" * 100
    assert [(c.start, c.end) for c in cut(text, size=40)] == [(0, 40), (40, 80), (80, 100)]
    text = "xe\u0301" * 20  # an accent stays with its letter
    assert not any(unicodedata.combining(text[c.start]) for c in cut(text, size=8))


def test_passages_of_a_section_are_of_similar_length():
    text = " ".join(["Nine more."] * 75)  # 824 characters
    assert [c.end - c.start for c in cut(text, size=700)] == [417, 406]


def test_an_overlap_repeats_whole_words_within_a_section():
    text = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu\n\n# Next\n\nnu"
    chunks = cut(text, size=30, overlap=12)
    assert [text[c.start : c.end] for c in chunks] == [
        "alpha beta gamma", "beta gamma delta epsilon zeta", "zeta eta theta iota", "theta iota kappa lambda mu",
        "# Next\n\nnu",
    ]  # fmt: skip
    text = "가" * 100
    assert [(c.start, c.end) for c in cut(text, size=40, overlap=10)] == [(0, 30), (20, 60), (50, 90), (80, 100)]


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_sizes_that_leave_no_room_are_refused(size, overlap):
    with pytest.raises(RecipeError, match=f"^size {size} and overlap {overlap}: size is at least 1"):
        cut("text", size=size, overlap=overlap)


def words(text):
    """A length whose parts add up to more or less than the whole."""
    return len(text.split()) + len(text) // 7


LENGTHS = st.sampled_from([None, words, lambda text: len(text.encode())])
CHUNKER = st.sampled_from(sorted(CHUNKERS))


def fits(text, chunk, size, length):
    return (length or len)(text[chunk.start : chunk.end]) <= size or chunk.end - chunk.start == 1


@given(TEXTS, st.integers(1, 60), CHUNKER, LENGTHS)
def test_property_passages_rebuild_the_text(text, size, chunker, length):
    chunks = cut(text, title="T", size=size, chunker=chunker, length=length)
    assert chunks == cut(text, title="T", size=size, chunker=chunker, length=length)
    assert all(fits(text, c, size, length) for c in chunks)
    at = 0
    for chunk in chunks:
        assert not text[at : chunk.start].strip()
        assert text[chunk.start : chunk.end].strip() == text[chunk.start : chunk.end] != ""
        at = chunk.end
    assert not text[at:].strip()


@given(TEXTS, st.integers(2, 60), CHUNKER, LENGTHS, st.data())
def test_property_an_overlap_keeps_size_and_order(text, size, chunker, length, data):
    overlap = data.draw(st.integers(0, size - 1))
    chunks = cut(text, size=size, overlap=overlap, chunker=chunker, length=length)
    assert all(fits(text, c, size, length) for c in chunks)
    for a, b in pairwise(chunks):
        assert a.start < b.start and a.end < b.end
        assert b.start >= a.end or (length or len)(text[b.start : a.end]) <= overlap
    covered = {at for c in chunks for at in range(c.start, c.end)}
    assert {at for at, char in enumerate(text) if not char.isspace()} <= covered


def test_the_sentence_chunker_keeps_sentences_whole_and_repeats_them_whole():
    text = "# Title\n\nOne is here. Two is here. Three is here.\n\n# Next\n\nFour is here. Five is here."
    chunks = cut(text, title="T", size=40, overlap=14, chunker="sentence")
    assert [text[c.start : c.end] for c in chunks] == [
        "# Title\n\nOne is here.", "One is here. Two is here.", "Two is here. Three is here.\n\n# Next",
        "# Next\n\nFour is here.", "Four is here. Five is here.",
    ]  # fmt: skip
    assert {c.title for c in chunks} == {"T"}


def test_the_fixed_chunker_cuts_where_the_length_is_reached():
    assert [(c.start, c.end) for c in cut("가" * 100, size=40, overlap=10, chunker="fixed")] == [
        (0, 40), (30, 70), (60, 100),
    ]  # fmt: skip
    text = "one two three four five six seven"
    chunks = cut(text, size=3, overlap=1, chunker="fixed", length=lambda text: len(text.split()))
    assert [text[c.start : c.end] for c in chunks] == ["one two three", "three four five", "five six seven"]


def test_an_unknown_chunker_is_refused():
    with pytest.raises(RecipeError, match=r"^no chunker named 'sentences'. Did you mean 'sentence'"):
        cut("text", chunker="sentences")
