"""Measures of runs equal trec_eval's, ties and negative grades included; and how fast they are."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.maths.ranking import (
    average_precision,
    ndcg,
    places,
    precision,
    ranked,
    recall,
    reciprocal_rank,
    success,
)

RUN = {"a": 1.0, "b": 2.0, "c": 1.0, "d": 1.0 + 1e-12}
names = st.sampled_from([*"abcdefgh", "d10", "d9", "\uac00", "\U00020000"])
# few different scores, some of them equal only as 32-bit floats
scores = st.sampled_from([0.0, 1.0, 1.0 + 1e-12, -3.5, 0.6, 0.1 + 0.2 + 0.3]) | st.floats(-1e3, 1e3, width=32)


def test_formula_equal_scores_are_ordered_by_the_later_id():
    assert ranked(RUN) == ["b", "d", "c", "a"]
    assert places(RUN, {"a": 1.0, "d": 2.0, "x": 1.0}) == ((2, 2.0), (4, 1.0))


def test_formula_precision_and_success():
    qrels = {"a": 1.0, "b": 2.0, "c": 0.0}
    assert precision(["b", "x"], qrels, 5) == 1 / 5
    assert precision(["b", "a", "c"], qrels, 3, least=2) == 1 / 3
    assert [success(["x", "a"], qrels, k) for k in (1, 2)] == [0.0, 1.0]


# trec_eval itself breaks down where no grade is at least 0
judged = st.dictionaries(names, st.integers(-2, 3), min_size=1).filter(lambda qrels: max(qrels.values()) >= 0)


@given(st.dictionaries(names, scores, min_size=1), judged)
def test_equals_trec_eval_on_random_runs(run, qrels):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    wanted = {"ndcg_cut.1,5,10", "map", "recip_rank", "recall.1,5", "P.1,5", "success.1,5", "ndcg"}
    for least in (1, 2):
        evaluator = pytrec_eval.RelevanceEvaluator({"q": qrels}, wanted, relevance_level=least)
        expected = evaluator.evaluate({"q": run})["q"]
        found = {"map": average_precision(run, qrels, least=least), "ndcg": ndcg(run, qrels)}
        found["recip_rank"] = reciprocal_rank(run, qrels, least=least)
        found |= {f"ndcg_cut_{k}": ndcg(run, qrels, k) for k in (1, 5, 10)}
        for name, measure in (("recall", recall), ("P", precision), ("success", success)):
            found |= {f"{name}_{k}": measure(run, qrels, k, least=least) for k in (1, 5)}
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.dictionaries(names, scores), st.dictionaries(names, st.integers(-2, 3)))
def test_property_a_run_its_ranking_and_its_places_are_the_same(run, qrels):
    assert places(run, qrels) == places(ranked(run), qrels) == places(places(run, qrels), {})
    assert ndcg(run, qrels, 3) == ndcg(ranked(run), qrels, 3) == ndcg(places(run, qrels), qrels, 3)


def test_seven_thousand_queries_of_a_thousand_hits_take_about_a_second():
    names = [f"d{number}" for number in range(1000)]
    run = {name: 1 / (rank + 1) for rank, name in enumerate(names)}
    qrels = {name: 1.0 for name in (*names[5:500:100], "missing")}
    begun = time.process_time()
    for _ in range(700):
        found = places(run, qrels)
        measures = (ndcg(found, qrels, 10), recall(found, qrels, 100), reciprocal_rank(found, qrels))
    assert measures[1] == 1 / 6 and time.process_time() - begun < 0.5  # seven thousand in five seconds, when busy
