"""The pairwise judge: asked in both orders, a win in both is a win, and what it did not say is not a tie."""

import itertools
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.catalogue import build, load
from espalier.contracts import Row, Scorer
from espalier.errors import RecipeError
from espalier.judges.pairwise import PairwiseJudge, judge_pair, winner
from espalier.lm.cache import Cache
from espalier.lm.http import Http
from espalier.lm.scripted import Scripted
from espalier.verdicts import tally
from tests.lm.server import Reply, Server


def pair(group, first, second, prompt="Which is longer?"):
    return [Row(prompt=prompt, completion=text, group=group) for text in (first, second)]


def shown(prompt):
    """The two replies in the prompt of a judge."""
    return tuple(prompt.split(f"<reply_{name}>\n")[1].split(f"\n</reply_{name}>")[0] for name in "ab")


def longer(prompt):
    """A judge without bias: the longer reply wins."""
    a, b = map(len, shown(prompt))
    return f"[[{'A' if a > b else 'B' if b > a else 'C'}]]"


def test_formula_a_win_is_a_win_in_both_orders():
    assert winner("A", "B") == "first" and winner("B", "A") == "second"
    for one, two in itertools.product("ABC", repeat=2):
        if (one, two) not in (("A", "B"), ("B", "A")):
            assert winner(one, two) == "tie"
    assert {winner(None, "A"), winner("B", None), winner(None, None)} == {None}


@given(st.sampled_from(["A", "B", "C", None]), st.sampled_from(["A", "B", "C", None]))
def test_property_exchanging_the_candidates_exchanges_the_winner(one, two):
    exchanged = {"first": "second", "second": "first"}
    assert winner(two, one) == exchanged.get(winner(one, two), winner(one, two))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_property_an_unbiased_judge_is_understood_whatever_the_texts(prompt, first, second):
    judged = judge_pair(Scripted(longer), prompt, f".{first}.", f".{second}.")
    expected = (len(first) > len(second)) - (len(first) < len(second))
    assert judged.winner == {1: "first", -1: "second", 0: "tie"}[expected]


def test_both_orders_are_asked_with_the_whole_texts():
    lm = Scripted("[[A]]", "[[A]]")
    judged = judge_pair(lm, "Why {first}?", "Because {second}.", "No.", max_tokens=9)
    one, two = (call.prompt for call in lm.calls)
    assert shown(one) == ("Because {second}.", "No.") and shown(two) == ("No.", "Because {second}.")
    assert "<user>\nWhy {first}?\n</user>" in one
    assert all((call.temperature, call.max_tokens, call.n) == (0.0, 9, 1) for call in lm.calls)
    assert judged.replies == ("[[A]]", "[[A]]") and judged.winner == "tie"


def test_rows_are_scored_in_their_places():
    judge: Scorer = PairwiseJudge(Scripted(longer))
    one, two, same = pair(1, "long", "x"), pair("b", "x", "long"), pair(3, "same", "same")
    scores = judge.score([one[0], two[0], same[0], two[1], one[1], same[1]])
    assert scores.values == (1.0, 0.0, 0.5, 1.0, 0.0, 0.5)
    assert scores.reasons[0] == scores.reasons[4] == "A, and with the replies exchanged B"
    assert judge.score([]).values == ()


def test_formula_in_a_larger_group_a_score_is_the_mean_of_what_a_row_got():
    def judge(prompt):  # reads no verdict where a reply is "?"
        return "no idea" if "?" in shown(prompt) else longer(prompt)

    rows = [Row(prompt="p", completion=text, group=1) for text in ("aaa", "aa", "bb", "?")]
    scores = PairwiseJudge(Scripted(judge)).score(rows)
    assert scores.values == (1.0, (0 + 0.5) / 2, (0 + 0.5) / 2, None)


def test_a_verdict_that_cannot_be_read_is_missing_and_not_a_tie():
    judge = PairwiseJudge(Scripted("[[A]]", "I cannot say.", "[[C]]", "[[C]]"))
    scores = judge.score([*pair(1, "a", "b"), *pair(2, "a", "b")])
    assert scores.values == (None, None, 0.5, 0.5)
    assert scores.reasons[0] == "A, and with the replies exchanged no verdict"


def test_a_judge_that_always_prefers_a_place_gives_ties_and_a_bias_of_one():
    judge = PairwiseJudge(Scripted(lambda _: "[[B]]"))
    counts = tally(judge.judge([("p", "a", "b"), ("p", "c", "d")]))
    assert (counts.ties, counts.toward_a, counts.toward_b) == (2, 0.0, 1.0)


@pytest.mark.parametrize("instruction", ["Which?", "{prompt} {first}", "{prompt} {first} {second} {x}", "{", "{0}"])
def test_an_instruction_that_cannot_show_a_pair_is_refused(instruction):
    with pytest.raises(RecipeError, match=r"must have \{prompt\}, \{first\} and \{second\}"):
        PairwiseJudge(Scripted(), instruction=instruction)


def test_an_instruction_of_ones_own():
    judge = PairwiseJudge(Scripted("[[A]]", "[[B]]"), instruction='{prompt}|{first}|{second} {{"json": 1}}')
    assert judge.judge([("p", "a", "b")])[0].winner == "first"
    assert [call.prompt for call in judge.lm.calls] == ['p|a|b {"json": 1}', 'p|b|a {"json": 1}']


def test_it_is_built_from_a_table():
    assert load("pairwise", "judges") is PairwiseJudge
    built = build({"method": "judges/pairwise", "lm": Scripted(), "max_tokens": 5})
    assert built.max_tokens == 5


def test_a_judge_behind_a_server_is_asked_many_at_once_and_never_twice(tmp_path):
    def answer(asked):
        return Reply({"choices": [{"message": {"content": longer(asked.body["messages"][0]["content"])}}]})

    server = Server()
    server.answer = answer
    rows = [row for number in range(10) for row in pair(number, "x" * number, "x" * 5)]
    with Cache(tmp_path / "a.sqlite") as cache, Http("judge", server.url, cache=cache) as lm:
        scores = PairwiseJudge(lm).score(rows)
        assert scores.values[::2] == (0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0)
        calls = lm.counts.calls
        assert PairwiseJudge(lm).score(rows) == scores and lm.counts.calls == calls
    assert len(server.asked) <= 20
    server.stop()


@pytest.mark.data
def test_a_judge_that_knows_the_answer_wins_every_real_pair(data_folder):
    path = data_folder / "judges" / "llmbar" / "LLMBar__Natural__dataset.json.xz"
    items = json.loads(lzma.decompress(path.read_bytes()))
    rows = [
        row
        for number, item in enumerate(items)
        for row in pair(number, item["output_1"], item["output_2"], prompt=item["input"])
    ]
    best = {item[f"output_{item['label']}"] for item in items}

    def oracle(prompt):
        return f"I quote [[A]] and [[B]].\n[[{'A' if shown(prompt)[0] in best else 'B'}]]"

    scores = PairwiseJudge(Scripted(oracle)).score(rows)
    found = [scores.values[2 * number + item["label"] - 1] for number, item in enumerate(items)]
    assert len(items) == 100 and found == [1.0] * 100
