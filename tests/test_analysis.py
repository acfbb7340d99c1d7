"""Terms of text in several scripts, and where they stand."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.analysis import Analyzer, aligned
from espalier.errors import RunError

ANALYZER = Analyzer()
SCRIPTS = st.text(
    st.sampled_from("aZ9 .,'\u2019ßİΣé한글\u1112\u1161\u11ab\u3099\uff76\uff9e\uff21北京ไทย\u0e34हिं½㎞\u0301\n_"),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Ponies were running", ["poni", "were", "run"]),
        ("the country's capitals", ["countri", "capit"]),
        ("51,966,948 people, 3.5% in 2024", ["51966948", "peopl", "3.5", "2024"]),
        ("COVID-19, snake_case, GPT4", ["covid", "19", "snake", "case", "gpt4"]),
        ("Straße \uff21\uff22", ["strass", "ab"]),
        ("Negara di Asia Tenggara", ["negara", "di", "asia", "tenggara"]),
        ("수도는", ["수", "도", "는", "수도", "도는"]),
        ("서울 AI", ["서", "울", "서울", "ai"]),
        ("2024년", ["2024", "년"]),
        ("北京大学", ["北", "京", "大", "学", "北京", "京大", "大学"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("the of and", []),
        ("!?...", []),
    ],
)
def test_formula_terms_by_script(text, terms):
    assert ANALYZER(text) == terms


def test_options_keep_endings_and_stop_words():
    assert Analyzer(stem=False, stopwords=False)("The ponies") == ["the", "ponies"]


def test_the_id_names_every_option_and_finds_the_analyzer_again():
    every = [Analyzer(stem, stopwords) for stem in (True, False) for stopwords in (True, False)]
    assert len({analyzer.id for analyzer in every}) == 4
    assert [Analyzer.of(analyzer.id) for analyzer in every] == every
    assert Analyzer.of("words-cjk-0-porter") is None


@given(SCRIPTS)
def test_property_spans_are_the_terms_with_their_places(text):
    found = ANALYZER.spans(text)
    assert [term for term, _, _ in found] == ANALYZER(text)
    assert all(0 <= start < end <= len(text) for _, start, end in found)


@given(SCRIPTS | st.text(max_size=20))
def test_property_alignment_normalizes_like_the_whole(text):
    def normalize(part):
        return unicodedata.normalize("NFKC", part)

    normal, starts, ends = aligned(text, normalize)
    assert normal == normalize(text)
    assert len(starts) == len(ends) == len(normal)


@given(st.text(st.sampled_from("가각한글 éüñaABC"), max_size=20))
def test_property_composition_does_not_matter(text):
    apart = unicodedata.normalize("NFD", text)
    assert ANALYZER(apart) == ANALYZER(text)
    shown = [unicodedata.normalize("NFC", apart[start:end]) for _, start, end in ANALYZER.spans(apart)]
    assert shown == [text[start:end] for _, start, end in ANALYZER.spans(text)]


def marked(query, text):
    return [text[start:end] for start, end in ANALYZER.matches(query, text)]


def test_matching_words_are_found_in_the_text_as_it_stands():
    assert marked("the population of Korea", "Korea's Populations, the.") == ["Korea", "Populations"]
    assert marked("대한민국의 수도", "대한민국 국의 수도는 도시") == ["대한민국", "국의", "수도"]
    assert marked("강", "한강과 강") == ["강", "강"]
    assert marked("", "text") == []


def test_a_missing_stemmer_is_one_sentence_and_only_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(RunError, match=r"needs PyStemmer: pip install 'espalier-lm\[retrieval\]'"):
        ANALYZER("neverseenbefore")
    assert Analyzer(stem=False)("neverseenbefore 서울") == ["neverseenbefore", "서", "울", "서울"]


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("What is the capital of Mongolia?", ["capit", "mongolia"]),
        ("How many people does Suva have?", ["peopl", "suva"]),
        ("What does the WHO do in May?", ["who", "mai"]),
        ("WHO IS WHO", ["who", "who"]),
        ("Who?", ["who"]),
        ("Siapakah presiden Indonesia?", ["presiden", "indonesia"]),
        ("수도는 어디인가요?", ["수", "도", "는", "수도", "도는"]),
        (unicodedata.normalize("NFD", "언제 쉬나요?"), ["쉬"]),
        ("왜구는 왜 왔나요?", ["왜", "구", "는", "왜구", "구는", "왔"]),
        ("首都是什么?", ["首", "都", "是", "首都", "都是"]),
        ("几内亚在哪里", ["几", "内", "亚", "在", "几内", "内亚", "亚在"]),
    ],
)
def test_a_query_is_what_is_asked_for_without_the_asking(question, terms):
    assert ANALYZER(ANALYZER.query(question)) == terms
    assert Analyzer(stopwords=False).query(question) == question


@given(SCRIPTS)
def test_property_a_query_keeps_some_of_what_it_had(text):
    kept = ANALYZER(ANALYZER.query(text))
    assert bool(kept) == bool(ANALYZER(text)) and set(kept) <= set(ANALYZER(text))


def test_the_asking_is_not_marked_in_a_passage():
    text = "What the fox does"
    assert [text[start:end] for start, end in ANALYZER.matches("What does a fox eat?", text)] == ["fox"]
