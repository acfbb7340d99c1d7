"""TF-IDF by hand, and against scikit-learn where that is installed."""

import math
import random

import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError, RowError
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.retrievers.tf_idf import TfIdf, tf_idf_weight


def built(texts, **options):
    return TfIdf(**options).index([Hit(str(number), 0.0, text) for number, text in enumerate(texts)])


def test_formula_tf_idf_weight():
    assert tf_idf_weight(3, 2, documents=8) == pytest.approx((1 + math.log(3)) * (1 + math.log(3)), rel=1e-12)
    assert tf_idf_weight(0, 2, documents=8) == 0.0


def test_formula_the_score_is_a_cosine():
    # red: df 2 of 3, fox: df 1, dog: df 1
    red, fox, dog = 1 + math.log(4 / 3), 1 + math.log(2), 1 + math.log(2)
    twice = (1 + math.log(2)) * red
    (best, other) = built(["red fox", "red red dog", "cat"]).search("red fox", 3)
    assert (best.document, best.score) == ("0", pytest.approx(1.0, rel=1e-6))  # kept as float32
    expected = red * twice / (math.hypot(red, fox) * math.hypot(twice, dog))
    assert (other.document, other.score) == ("1", pytest.approx(expected, rel=1e-6))


def test_equals_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    chance = random.Random(5)
    words = [f"w{number}" for number in range(40)]
    texts = [" ".join(chance.choices(words, range(1, 41), k=chance.randint(0, 30))) for _ in range(60)]
    theirs = text.TfidfVectorizer(sublinear_tf=True, analyzer=str.split)
    vectors = theirs.fit_transform(texts)
    ours = built(texts)
    for query in ("w3 w39 w3 w12", "w1", "w40 unknown w2"):
        expected = (vectors @ theirs.transform([query]).T).toarray()[:, 0]
        found = {int(hit.document): hit.score for hit in ours.search(query, 60)}
        assert [found.get(number, 0.0) for number in range(60)] == pytest.approx(expected.tolist(), rel=1e-5)


def test_property_what_terms_add_is_the_score():
    texts = built(["red fox", "red red dog", "cat"])
    best = texts.search("the red red foxes of Mars", 1)[0]
    shares = texts.explain("the red red foxes of Mars", best)
    assert {name for name, _ in shares} == {"foxes", "red"}
    assert sum(share for _, share in shares) == pytest.approx(best.score, rel=1e-6)


def test_an_index_keeps_it_and_goes_on_keeping_it(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("green tea")
    kb = tmp_path / "kb"
    assert index(tmp_path / "docs", kb, retrievers=["tf_idf"]).retrievers == ("bm25", "tf_idf")
    (tmp_path / "docs" / "b.txt").write_text("black coffee")
    assert index(tmp_path / "docs", kb).retrievers == ("bm25", "tf_idf")
    with Store.open(kb) as store:
        assert [hit.document for hit in TfIdf().open(store).search("coffee", 2)] == ["b.txt"]


@pytest.mark.parametrize("query", ["", "the of", "zebra"])
def test_a_query_without_a_known_word_finds_nothing(query):
    assert built(["apple", "pear the"]).search(query, 3) == []


def test_what_cannot_be():
    with pytest.raises(RowError, match="none of the 1 passages"):
        built(["..."])
    with pytest.raises(RecipeError, match="k is 0"):
        built(["pear"]).search("pear", 0)
