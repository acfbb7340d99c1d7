"""Quotes found in their text, and what is not there."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.citing import cite, locate
from espalier.contracts import Citation, Hit

TEXT = "“Belmi” was born\nin  Kastel – in 1874. 서울은 수도이다. 北京是首都。 Because of US law, cafe\u0301."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("in 1874.", "in 1874."),
        ('"Belmi" was born in Kastel - in 1874.', "“Belmi” was born\nin  Kastel – in 1874."),
        ("'born in Kastel'", "born\nin  Kastel"),
        ("서울", "서울"),
        ("수도", "수도"),
        ("北京是首都", "北京是首都"),
        ("US", "US"),
        ("café", "cafe\u0301"),
        ("born in Paris", None),
        ("ast", None),
        ("Becau", None),
        ("belmi", None),
        ("", None),
        ('""', None),
        ("  \n", None),
    ],
)
def test_formula_locate(quote, found):
    place = locate(quote, TEXT)
    assert (TEXT[slice(*place)] if place else None) == found


def test_a_whole_word_is_preferred_to_a_part_of_an_earlier_one():
    assert locate("US", "US-based? No: BUS, USA, US.") == (0, 2)
    assert locate("US", "BUS USA us US") == (11, 13)


@given(st.text(st.sampled_from("ab \n가각é“”-1."), min_size=1, max_size=30), st.data())
def test_property_every_stretch_between_words_is_found_whatever_its_white_space(text, data):
    edges = [0, *(at for at, char in enumerate(text) if not char.isalnum()), len(text)]
    start, end = sorted((data.draw(st.sampled_from(edges)), data.draw(st.sampled_from(edges))))
    quote = " ".join(text[start:end].split())
    if not quote:
        return
    for form in ("NFC", "NFD"):
        found = locate(unicodedata.normalize(form, quote), text)
        assert found is not None
        assert " ".join(text[slice(*found)].split()).strip('"“”') == quote.strip('"“”')


def test_a_quote_is_cited_from_the_first_passage_that_has_it():
    hits = [Hit("a.md", 2.0, "Nothing here."), Hit("b.md", 1.0, "It is so. Kastel is old.", start=100)]
    found = cite(["Kastel is old.", "Kastel is new.", " ", "Kastel is old."], hits)
    assert found == (Citation("Kastel is old.", "b.md", 110, 124, verified=True), Citation("Kastel is new."))


def test_a_citation_knows_the_page_of_its_passage():
    [found] = cite(["Kastel is old."], [Hit("a.pdf", 1.0, "Kastel is old.", place="page 3")])
    assert found.place == "page 3"
