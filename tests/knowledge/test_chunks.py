import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RecipeError
from espalier.knowledge.chunks import cut, first_heading

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


def test_the_first_heading():
    assert first_heading(GUIDE) == "Guide"
    assert first_heading("A title\n=======\n\ntext") == "A title"
    assert first_heading("---\ntitle: x\n---\n\n#hashtag\n\n| a |\n|---|\n") == ""


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


@given(TEXTS, st.integers(1, 60))
def test_property_passages_rebuild_the_text(text, size):
    chunks = cut(text, title="T", size=size)
    assert chunks == cut(text, title="T", size=size)
    assert all(0 < c.end - c.start <= size for c in chunks)
    at = 0
    for chunk in chunks:
        assert not text[at : chunk.start].strip()
        assert text[chunk.start : chunk.end].strip() == text[chunk.start : chunk.end]
        at = chunk.end
    assert not text[at:].strip()


@given(TEXTS, st.integers(2, 60), st.data())
def test_property_an_overlap_keeps_size_and_order(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    chunks = cut(text, size=size, overlap=overlap)
    assert all(0 < c.end - c.start <= size for c in chunks)
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(chunks))
    covered = {at for c in chunks for at in range(c.start, c.end)}
    assert {at for at, char in enumerate(text) if not char.isspace()} <= covered
