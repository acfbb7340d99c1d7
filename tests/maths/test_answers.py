"""Exact match and F1 by their definitions, on answers small enough to count by hand."""

import json
import lzma
import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.maths import answers


def test_formula_exact_match_in_english_is_squads():
    assert answers.exact_match("The  Eiffel-Tower!", ["an eiffeltower"]) == 1
    assert answers.exact_match("Eiffel", ["Eiffel Tower", "eiffel."]) == 1
    assert answers.exact_match("theatre", ["atre"]) == 0


def test_formula_f1_in_english_counts_words():
    # 3 and 2 words after the article is gone, 2 in common: 2 * 2 / 5
    assert answers.f1("the old Eiffel Tower", ["Eiffel tower"]) == pytest.approx(0.8, rel=1e-12)
    assert answers.f1("a a b", ["a b b"], "xx") == pytest.approx(2 * 2 / 6, rel=1e-12)
    assert answers.f1("new york", ["paris", "york"]) == pytest.approx(2 / 3, rel=1e-12)


def test_formula_f1_in_korean_counts_characters():
    # 4 and 6 characters, 4 in common
    assert answers.f1("대한민국", ["대한민국에서"]) == pytest.approx(0.8, rel=1e-12)
    assert answers.f1("1988년", ["1988"], "ko") == pytest.approx(2 * 4 / 9, rel=1e-12)
    assert answers.exact_match("《서울》", ["'서울'"]) == 1
    assert answers.exact_match("서울 시", ["서울시"]) == 0  # KorQuAD's exact match minds the spaces


def test_formula_f1_in_chinese_counts_characters_and_foreign_words():
    # 北 京 大 学 / 北 京: 2 * 2 / 6; PyTorch is one piece of 用 PyTorch
    assert answers.f1("北京大学", ["北京"]) == pytest.approx(2 / 3, rel=1e-12)
    assert answers.f1("PyTorch", ["用 PyTorch"]) == pytest.approx(2 / 3, rel=1e-12)
    assert answers.exact_match("《北 京》。", ["北京"]) == 1


def test_decomposed_text_equals_composed_text():
    assert answers.exact_match("\u1112\u1161\u11ab", ["\ud55c"]) == 1


@pytest.mark.parametrize("lang", ["en", "ko", "zh", "ja"])
def test_an_empty_answer_matches_only_an_empty_reference(lang):
    assert answers.f1("...", ["!"], lang) == answers.exact_match("", ["!"], lang) == 1
    assert answers.f1("", ["x"], lang) == answers.exact_match("", ["x"], lang) == 0


@given(st.text(alphabet="ab 한국漢字かな,.'\"the", max_size=12), st.text(alphabet="ab 한국漢字かな,.the", max_size=12))
def test_property_f1_is_symmetric_and_one_for_itself(first, second):
    for lang in ("en", "ko", "zh"):
        value = answers.f1(first, [second], lang)
        assert 0 <= value == answers.f1(second, [first], lang) <= 1
        assert answers.f1(first, [first], lang) == answers.exact_match(first, [first], lang) == 1


def squads(text):
    """The steps of SQuAD's evaluation, in its order: lower case, punctuation, articles, white space."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def squads_f1(answer, reference):
    """2 * precision * recall / (precision + recall) over the words both have; two empty answers agree."""
    both = sum((Counter(answer) & Counter(reference)).values())
    if not answer or not reference or not both:
        return float(answer == reference)
    precision, recall = both / len(answer), both / len(reference)
    return 2 * precision * recall / (precision + recall)


@given(st.text("ab THEtheAn.,'-$ 12\t", max_size=16), st.lists(st.text("ab THEtheAn.,'-$ 12", max_size=16), min_size=1))
def test_equals_squads_evaluation_on_ascii(answer, references):
    expected = max(float(squads(answer) == squads(reference)) for reference in references)
    assert answers.exact_match(answer, references, "en") == expected
    best = max(squads_f1(squads(answer), squads(reference)) for reference in references)
    assert answers.f1(answer, references, "en") == pytest.approx(best, rel=1e-12)


def korquads(text):
    """The steps of KorQuAD's evaluation: quotes and brackets become spaces, then lower case, ASCII's punctuation."""
    text = re.sub("['\"\u300a\u300b<>\u3008\u3009()\u2018\u2019]", " ", text).lower()
    return " ".join("".join(c for c in text if c not in string.punctuation).split())


@given(
    st.text("\uc11c\uc6b8\uc2dc aB'\"<>()\u300a\u300b\u3008\u3009\u2018\u2019.,-1", max_size=12),
    st.text("\uc11c\uc6b8\uc2dc a.(1", max_size=12),
)
def test_equals_korquads_evaluation(answer, reference):
    said, known = korquads(answer), korquads(reference)
    assert answers.exact_match(answer, [reference], "ko") == float(said == known)
    characters = list(said.replace(" ", "")), list(known.replace(" ", ""))
    assert answers.f1(answer, [reference], "ko") == pytest.approx(squads_f1(*characters), rel=1e-12)


CMRC = set(
    "-:_*^/\\~`+=\uff0c\u3002\uff1a\uff1f\uff01\u201c\u201d\uff1b\u2019\u300a\u300b\u00b7\u3001\u300c\u300d\uff08\uff09\uff0d\uff5e"
)


@given(
    st.text("\u5317\u4eac\u5927aB1\u300a\u300b\u3002\uff0c\uff1a-", max_size=10),
    st.text("\u5317\u4eac\u5927ab1\u300a\u3002", max_size=10),
)
def test_equals_cmrcs_exact_match_without_inner_spaces(answer, reference):
    def plain(text):
        return "".join(c for c in text.lower() if c not in CMRC)

    assert answers.exact_match(answer, [reference], "zh") == float(plain(answer) == plain(reference))


def test_indonesian_is_compared_as_tydi_qa_does():
    assert answers.exact_match("The Beatles.", ["Beatles"], "id") == 1
    assert answers.f1("di kota Bandung", ["Kota Bandung, Jawa"], "id") == pytest.approx(2 * 2 / 6, rel=1e-12)


@pytest.mark.data
@pytest.mark.parametrize(("name", "lang"), [("KorQuAD_v1.0_dev.json.xz", "ko"), ("cmrc2018_trial.json.xz", "zh")])
def test_real_answers_match_themselves_in_their_context(data_folder, name, lang):
    data = json.loads(lzma.decompress((data_folder / "qa" / name).read_bytes()))["data"]
    paragraphs = [p for article in data[:40] for p in article["paragraphs"]]
    found = [(a["text"], p["context"]) for p in paragraphs for q in p["qas"] for a in q["answers"]]
    assert len(found) > 100
    for text, context in found:
        assert answers.exact_match(f" {text}.", [text], lang) == 1
        assert 0 < answers.f1(context, [text], lang) < 1 == answers.f1(text, [text], lang)
