"""UPR: the mean log-probability of the query, cut texts, and the same numbers as one passage at a time."""

import pytest

from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError, RowError
from espalier.lm.http import Http
from espalier.lm.scripted import Scripted
from espalier.rerankers.upr import UPR, upr_score
from tests.rerankers.tiny import engine_lm


def row(document, query="why does it rain", **more):
    return Row(query=query, document=document, **more)


def test_formula():
    assert upr_score(-12.0, 4) == -3.0


def test_passages_are_ordered_by_the_likelihood_of_the_query():
    lm = Scripted(logprob=lambda prompt, query: -4.0 if "Passage: Clouds or rain\n" in prompt else -8.0)
    scores = UPR(lm).score([row("snow"), row("or rain", title="Clouds")]).values
    assert scores == (-2.0, -1.0)  # "why does it rain" is taken for four tokens


def test_the_query_is_scored_as_it_was_asked_behind_the_passage():
    seen = []
    lm = Scripted(logprob=lambda prompt, query: seen.append((prompt, query)) or -1.0)
    UPR(lm).score([row('wet\n"days"\nQuestion: [1]?', query="a\n b")])
    prompt, query = seen[0]
    assert query == "a b"
    assert prompt == 'Passage: wet "days" Question: [1]?\nWrite a question that only this passage answers.\n'


def test_equals_one_passage_at_a_time():
    lm = engine_lm()
    documents = ["the rain falls", "snow", "clouds of the sky are full of water", "snow"]
    scores = UPR(lm).score([row(document, query="rain?") for document in documents]).values
    alone = [lm.logprobs(UPR(lm).prompt(document), ["rain?"])[0] / 5 for document in documents]
    assert scores == pytest.approx(alone, rel=1e-5)  # float32
    assert scores[1] == pytest.approx(scores[3], rel=1e-6)


def test_a_long_passage_is_cut_and_the_instruction_is_not():
    upr = UPR(engine_lm(), passage_tokens=10, query_tokens=4)
    assert upr.prompt("0123456789abc").startswith("Passage: 0123456789\nWrite")
    long, short = (upr.score([row("wet", query=query)]).values[0] for query in ("rain or snow", "rain"))
    assert long == short


def test_a_model_without_log_probabilities_is_told_which_methods_do_without():
    with pytest.raises(ModelError, match=r"rerankers/upr asks for log-probabilities: .*rerankers/rankgpt"):
        UPR(Scripted()).score([row("a")])


def test_a_chat_server_is_refused_before_it_is_asked():
    with (
        Http("small", "http://127.0.0.1:9/v1") as lm,
        pytest.raises(ModelError, match=r"need a server .*prp with mode"),
    ):
        UPR(lm).score([row("a"), row("b")])


def test_bad_input_is_refused():
    with pytest.raises(RecipeError, match="at least 1"):
        UPR(Scripted(), passage_tokens=0)
    with pytest.raises(RowError, match="'query' is missing"):
        UPR(Scripted()).score([Row(document="a")])
    assert UPR(Scripted()).score([]).values == ()
