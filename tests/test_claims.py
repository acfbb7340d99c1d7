"""Claims of an answer: where they stand, what they cite, what the quotes lack; marks of passages made citations."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.citing import cite
from espalier.claims import Claim, claims_of, renumber
from espalier.contracts import Answer, Citation, Hit

BORN, MASON, OLD = "Belmi Dorvan was born in Kastel in 1874.", "She was a mason.", "Kastel is old."
HITS = (Hit("a.md", 2.0, f"{BORN} {MASON}", title="Belmi Dorvan", start=10, place="page 2"), Hit("b.md", 1.0, OLD))


def answer(text: str, *quotes: str) -> Answer:
    return Answer(text, cite(quotes, HITS), hits=HITS)


def test_each_sentence_and_point_is_a_claim_with_its_place_and_its_own_citations():
    text = "# Life\nIn short:\n- Born in 1874 [1].\n- A baker.[2][9] Kastel is old [3, 1]! No mark."
    made = answer(text, BORN, MASON, OLD)
    born, baker, old, none = claims_of(made)
    assert born == Claim("Born in 1874.", text.index("Born"), text.index("\n- A"), (1,), supported=True)
    assert (baker.text, baker.citations, baker.supported, baker.missing) == ("A baker.", (2,), False, ("baker", "[9]"))
    assert (old.text, old.citations, old.supported) == ("Kastel is old!", (3, 1), True)
    assert (none.citations, none.supported) == ((), False)
    assert [text[claim.start : claim.end] for claim in claims_of(made)][1:3] == [
        "A baker.[2][9]",
        "Kastel is old [3, 1]!",
    ]


def test_without_marks_a_claim_rests_on_the_quotes_that_share_a_word():
    first, second = claims_of(answer("She was a mason. Kastel is new.", MASON, OLD))
    assert (first.citations, first.supported) == ((1,), True)
    assert (second.citations, second.supported, second.missing) == ((2,), False, ("new",))
    [alone] = claims_of(answer("yes", MASON, OLD))
    assert (alone.citations, alone.supported) == ((1, 2), False)


def test_the_title_of_a_passage_supports_and_a_quote_that_was_not_found_does_not():
    assert claims_of(answer("Belmi Dorvan was a mason.", MASON))[0].supported
    [claim] = claims_of(answer("Kastel is new.", "Kastel is new."))
    assert (claim.citations, claim.supported, claim.missing) == ((1,), False, ("Kastel", "new"))


@pytest.mark.parametrize("text", ["not stated", "Not stated.", "", "...", "# Life"])
def test_what_says_nothing_has_no_claims(text):
    assert claims_of(answer(text, OLD)) == ()


def test_marks_of_passages_become_citations_in_the_order_of_mention():
    found = renumber(answer("Old [2]. A mason [1b]; born there [1a, 2]. Nonsense [7] [1z].", BORN))
    assert found.text == "Old [1]. A mason [2]; born there [3][1]. Nonsense [4] [5]."
    old, mason, born, *unknown = found.citations
    assert old == Citation(OLD, "b.md", 0, len(OLD), verified=True)
    assert mason == Citation(MASON, "a.md", 51, 67, verified=True, place="page 2") and born.quote == BORN
    assert unknown == [Citation("[7]"), Citation("[1z]")] and claims_of(found)[2].missing == ("Nonsense",)


def test_a_passage_stands_for_its_quotes_and_quotes_without_a_mark_come_last():
    found = renumber(answer("A mason [1].", OLD, MASON))
    assert found.text == "A mason [1]." and [one.quote for one in found.citations] == [MASON, OLD]
    unmarked = answer("A mason.", OLD, MASON)
    assert renumber(unmarked) == unmarked
    assert renumber(replace(unmarked, text="In [2024] so.")).text == "In [2024] so."


@given(
    st.lists(st.sampled_from(["Kastel", " is old", ". ", " [1]", "[2a]", "[12]", "\n- ", "! ", "가. "]), max_size=12)
)
def test_property_claims_stand_in_order_and_marks_count_citations(parts):
    made = renumber(answer("".join(parts), OLD))
    claims = claims_of(made)
    assert all(one.end <= other.start for one, other in itertools.pairwise(claims))
    assert all(number <= len(made.citations) for claim in claims for number in claim.citations)
    assert not any("[" in word for claim in claims for word in claim.missing)
