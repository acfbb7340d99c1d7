"""Sentences that help: the oracles by hand, and replies that name sentences."""

import math

import pytest

from espalier import filtering
from espalier.contracts import Hit

HITS = [
    Hit("belmi.md", 3.0, "Belmi wrote operas.  Belmi was born in Kastel.\nHe sang.", "Belmi", 100),
    Hit("tea.md", 2.0, "Green tea steeps. It is hot.", start=7),
]


@pytest.mark.parametrize(
    ("sentence", "answers", "found"),
    [
        ("He left because of it.", ["US"], False),
        ("It told us so.", ["US"], False),
        ("He moved to the US.", ["US"], True),
        ("He moved to the U.S. in May.", ["us", "U.S."], True),
        ("BELMI WAS BORN IN KASTEL", ["Kastel"], True),
        ("Kastelli lies there.", ["Kastel"], False),
        ("It lies in\nNew  York.", ["new york"], True),
        ("그는 카스텔에서 태어났다.", ["카스텔"], True),
        ("In 1874 he left.", ["187"], False),
        ("Nothing.", [], False),
        ("Nothing.", [" "], False),
        ("Only the second is here.", ["first", "second"], True),
    ],
)
def test_formula_an_answer_is_found_as_whole_words(sentence, answers, found):
    assert filtering.string_inclusion(sentence, answers) is found


def test_formula_cxmi_is_a_difference_of_log_probabilities():
    assert filtering.cxmi([-2.0], [-5.0]) == pytest.approx(3.0, rel=1e-12)
    # of two right answers the probabilities are added: (0.3 + 0.1) / (0.1 + 0.1)
    logs = [math.log(p) for p in (0.3, 0.1, 0.1, 0.1)]
    assert filtering.cxmi(logs[:2], logs[2:]) == pytest.approx(math.log(2), rel=1e-12)


def test_property_cxmi_does_not_underflow():
    assert math.exp(-2000.0) == 0.0 and filtering.cxmi([-2000.0], [-2003.0]) == pytest.approx(3.0)
    assert filtering.cxmi([-math.inf], [-math.inf]) == -math.inf and filtering.cxmi([-1.0], [-math.inf]) == math.inf


def test_sentences_keep_their_place():
    found = filtering.sentences_of(HITS)
    assert list(found) == ["1a", "1b", "1c", "2a", "2b"]
    assert found["1b"].text == "Belmi was born in Kastel." == HITS[0].text[found["1b"].start : found["1b"].end]


@pytest.mark.parametrize(
    ("reply", "labels"),
    [
        ("[1b] Belmi was born in Kastel.", ["1b"]),
        ("Belmi  was born in KASTEL.\n- [2a]", ["1b", "2a"]),
        ("[2b], [1a]", ["1a", "2b"]),
        ("[2a] Belmi was born in Kastel.", ["1b"]),  # what is copied counts more than its label
        ("[1b] Belmi was born there.", ["1b"]),
        ("<think>[2a]</think>[1a] Belmi wrote operas.", ["1a"]),
        ("none", []),
        ("[7z] Else. [1b", []),
        ("", []),
    ],
)
def test_a_reply_names_sentences(reply, labels):
    assert filtering.read(reply, HITS) == labels


def test_what_it_should_write_is_read_again():
    assert filtering.reply(HITS, ["2a", "1b"]) == "[1b] Belmi was born in Kastel.\n[2a] Green tea steeps."
    assert filtering.read(filtering.reply(HITS, ["2a", "1b"]), HITS) == ["1b", "2a"]
    assert filtering.reply(HITS, []) == "none" and filtering.read("none", HITS) == []


def test_what_is_kept_stands_where_it_did_and_neighbors_stay_together():
    kept = filtering.filtered(HITS, ["1b", "1c", "2b"])
    assert [(hit.document, hit.start, hit.text, hit.score) for hit in kept] == [
        ("belmi.md", 121, "Belmi was born in Kastel.\nHe sang.", 3.0), ("tea.md", 25, "It is hot.", 2.0)
    ]  # fmt: skip
    assert [hit.start for hit in filtering.filtered(HITS, ["1a", "1c"])] == [100, 147]


def test_property_nothing_kept_is_everything():
    assert filtering.filtered(HITS, []) == tuple(HITS)


def test_property_one_passage_does_not_bind_another():
    """The number of sentences taken from one passage must not leak into the next."""
    many = Hit("many.md", 1.0, " ".join(f"Sentence number {number} is here." for number in range(9)))
    kept = filtering.filtered([HITS[1], many], ["1a", *(f"2{letter}" for letter in "acegi")])
    assert [hit.document for hit in kept] == ["tea.md"] + ["many.md"] * 5
