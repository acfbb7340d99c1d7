"""Each metric by its formula, on rows small enough to count by hand."""

import json
import lzma
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluation import metrics


def test_formula_exact_match_in_english_is_squads():
    assert metrics.exact_match("The  Eiffel-Tower!", ["an eiffeltower"]) == 1
    assert metrics.exact_match("Eiffel", ["Eiffel Tower", "eiffel."]) == 1
    assert metrics.exact_match("theatre", ["atre"]) == 0


def test_formula_f1_in_english_counts_words():
    # 3 and 2 words after the article is gone, 2 in common: 2 * 2 / 5
    assert metrics.f1("the old Eiffel Tower", ["Eiffel tower"]) == pytest.approx(0.8, rel=1e-12)
    assert metrics.f1("a a b", ["a b b"], "xx") == pytest.approx(2 * 2 / 6, rel=1e-12)
    assert metrics.f1("new york", ["paris", "york"]) == pytest.approx(2 / 3, rel=1e-12)


def test_formula_f1_in_korean_counts_characters():
    # 4 and 6 characters, 4 in common
    assert metrics.f1("대한민국", ["대한민국에서"]) == pytest.approx(0.8, rel=1e-12)
    assert metrics.f1("1988년", ["1988"], "ko") == pytest.approx(2 * 4 / 9, rel=1e-12)
    assert metrics.exact_match("《서울》", ["'서울'"]) == 1
    assert metrics.exact_match("서울 시", ["서울시"]) == 0  # KorQuAD's exact match minds the spaces


def test_formula_f1_in_chinese_counts_characters_and_foreign_words():
    # 北 京 大 学 / 北 京: 2 * 2 / 6; PyTorch is one piece of 用 PyTorch
    assert metrics.f1("北京大学", ["北京"]) == pytest.approx(2 / 3, rel=1e-12)
    assert metrics.f1("PyTorch", ["用 PyTorch"]) == pytest.approx(2 / 3, rel=1e-12)
    assert metrics.exact_match("《北 京》。", ["北京"]) == 1


def test_decomposed_text_equals_composed_text():
    assert metrics.exact_match("\u1112\u1161\u11ab", ["\ud55c"]) == 1


@pytest.mark.parametrize("lang", ["en", "ko", "zh", "ja"])
def test_an_empty_answer_matches_only_an_empty_reference(lang):
    assert metrics.f1("...", ["!"], lang) == metrics.exact_match("", ["!"], lang) == 1
    assert metrics.f1("", ["x"], lang) == metrics.exact_match("", ["x"], lang) == 0


@given(st.text(alphabet="ab 한국漢字かな,.'\"the", max_size=12), st.text(alphabet="ab 한국漢字かな,.the", max_size=12))
def test_property_f1_is_symmetric_and_one_for_itself(first, second):
    for lang in ("en", "ko", "zh"):
        value = metrics.f1(first, [second], lang)
        assert 0 <= value == metrics.f1(second, [first], lang) <= 1
        assert metrics.f1(first, [first], lang) == metrics.exact_match(first, [first], lang) == 1


def test_formula_perplexity_and_bits():
    assert metrics.perplexity(np.log(np.array([8.0]))) == pytest.approx([8.0], rel=1e-12)
    assert metrics.bits(np.array([3 * math.log(2) / 4])) == pytest.approx([0.75], rel=1e-12)


def test_formula_preferred_knows_ties():
    assert [metrics.preferred(*pair) for pair in ((2, 1), (1, 2), (1, 1), (1, 1 + 1e-6))] == [1, 0, 0.5, 0.5]


def test_formula_picked_shares_ties():
    assert metrics.picked([-3.0, -1.0, -2.0], 1) == 1
    assert metrics.picked([-3.0, -1.0, -2.0], 0) == 0
    assert metrics.picked([-1.0, -1.0, -2.0], 0) == 0.5
    assert metrics.picked([-1.0, -1.0, -2.0], 2) == 0


def test_formula_repetition():
    # a b a b a: the 2-grams ab ba ab ba, of which two differ
    assert metrics.repetition("a b A b a", 2) == pytest.approx(0.5, rel=1e-12)
    assert metrics.repetition("one two three four five") == 0
    assert metrics.repetition("하하하하하하") == pytest.approx(2 / 3, rel=1e-12)
    assert metrics.repetition("too short") is None


def test_same_script():
    assert metrics.same_script("어디야?", "집이야") == 1
    assert metrics.same_script("어디야?", "At home.") == 0
    assert metrics.same_script("어디야?", "42") is None


@pytest.mark.data
@pytest.mark.parametrize(("name", "lang"), [("KorQuAD_v1.0_dev.json.xz", "ko"), ("cmrc2018_trial.json.xz", "zh")])
def test_real_answers_match_themselves_in_their_context(data_folder, name, lang):
    data = json.loads(lzma.decompress((data_folder / "qa" / name).read_bytes()))["data"]
    paragraphs = [p for article in data[:40] for p in article["paragraphs"]]
    answers = [(a["text"], p["context"]) for p in paragraphs for q in p["qas"] for a in q["answers"]]
    assert len(answers) > 100
    for text, context in answers:
        assert metrics.exact_match(f" {text}.", [text], lang) == 1
        assert 0 < metrics.f1(context, [text], lang) < 1 == metrics.f1(text, [text], lang)
