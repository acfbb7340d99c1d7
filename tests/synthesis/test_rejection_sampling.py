import random
import re

import pytest

from espalier.contracts import Row, Sample, Scores
from espalier.errors import RecipeError
from espalier.lm.scripted import Scripted
from espalier.rows import kind
from espalier.synthesis.rejection_sampling import RejectionSampling, reasoning_key


class Right:
    """1 where the last number is the row's answer; None where there is no number."""

    def score(self, rows):
        found = [(re.findall(r"-?\d+", row["completion"]), row["answer"]) for row in rows]
        return Scores(tuple(float(numbers[-1] == answer) if numbers else None for numbers, answer in found))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("3 + 4 = 7, and 7 * 2 = $14", ("3+4=7", "7*2=14")),
        ("First 3+4=7. 7 × 2 = 14.", ("3+4=7", "7*2=14")),
        ("He has 3 + 4 = <<3+4=7>>7 apples. 7 * 2 = <<7*2=14>>14", ("3+4=7", "7*2=14")),
        ("$1,200 / 4 = $300", ("1200/4=300",)),
        ("28 - 5 = 23\n23 + 35 = 58\nAnswer: 58", ("28-5=23", "23+35=58")),
        ("There are 42\n3 + 4 = 7", ("3+4=7",)),
        ("In May, 2 + 2 = 4", ("2+2=4",)),
        ("(3 + 4) * 2 = 14", ("(3+4)*2=14",)),
        ("The answer is: Paris!", ("the answer is paris",)),
        ("", ("",)),
    ],
)
def test_formula_reasoning_key(text, key):
    assert reasoning_key(text) == key


def test_property_other_words_reason_alike_and_another_order_does_not():
    assert reasoning_key("Add: 1 + 2 = 3. Then 3 * 3 = 9") == reasoning_key("1+2=3 makes 3*3=9, so 9")
    assert reasoning_key("1 + 2 = 3, 3 * 3 = 9") != reasoning_key("3 * 3 = 9, 1 + 2 = 3")


def test_right_and_different_answers_are_kept_and_set_against_wrong_ones():
    said = ["1 + 2 = 3", "So 1+2=3", "2 + 1 = 3", "1 + 2 = 4", "hm", "1 + 1 = 2"]
    row = Row({"prompt": "1 + 2?", "answer": "3"}, "rows, row 1")
    found = RejectionSampling(lm=Scripted(*said), scorer=Right(), samples=6, pairs=5).curate([row])
    kept = list(found)
    assert [(r["completion"], r["answer"]) for r in kept[:2]] == [("1 + 2 = 3", "3"), ("2 + 1 = 3", "3")]
    assert [(r["chosen"], r["rejected"]) for r in kept[2:]] == [("1 + 2 = 3", "1 + 2 = 4"), ("2 + 1 = 3", "1 + 1 = 2")]
    assert [kind(r) for r in kept] == ["completion"] * 2 + ["preference"] * 2
    assert [(lost.where.rpartition(" ")[2], lost.reason) for lost in found.dropped] == [
        ("2", "reasons like one before it"),
        ("4", "wrong"),
        ("5", "without a score"),
        ("6", "wrong"),
    ]


def test_prompts_that_are_all_right_or_all_wrong_say_so():
    rows = [
        Row({"prompt": "p", "completions": ["1 + 1 = 2", "2 = 2"], "scores": [1, 1]}, "row 1"),
        Row({"prompt": "q", "completions": ["no"], "scores": [0]}, "row 2"),
    ]
    found = RejectionSampling().curate(rows)
    assert [r["completion"] for r in found] == ["1 + 1 = 2", "2 = 2"]
    assert [(lost.where, lost.reason) for lost in found.dropped] == [
        ("row 1", "no wrong answer to make a pair"),
        ("row 2, answer 1", "wrong"),
        ("row 2", "no right answer"),
    ]


def test_easy_prompts_do_not_outweigh_the_others():
    row = Row(prompt="p", completions=[f"{n} + 0 = {n}" for n in range(5)] + ["no"], scores=[1.0] * 5 + [0.0])
    found = RejectionSampling(most=2, pairs=0).curate([row])
    assert [r["completion"] for r in found] == ["0 + 0 = 0", "1 + 0 = 1"]
    assert [lost.reason for lost in found.dropped] == ["enough of this prompt"] * 3 + ["wrong"]


def test_an_answer_that_was_cut_off_is_neither_right_nor_wrong():
    class Cut(Scripted):
        def sample(self, prompts, **options):
            return [[Sample("1 + 2 = 3", ended=False), Sample("1 + 2 = 3")]]

    found = RejectionSampling(lm=Cut(), scorer=Right(), samples=2, pairs=0).curate([Row(prompt="p", answer="3")])
    assert len(list(found)) == 1 and [lost.reason for lost in found.dropped] == ["cut off by max_tokens"]


def test_answers_given_as_messages():
    said = [[{"role": "assistant", "content": text}] for text in ("1 + 2 = 3", "It is 1+2=3", "1 + 2 = 4")]
    kept = list(RejectionSampling().curate([Row(prompt="p", completions=said, scores=[1, 1, 0])]))
    assert kept[0]["completion"] == said[0] and (kept[1]["chosen"], kept[1]["rejected"]) == (said[0], said[2])


def test_learns_one_round_raises_the_accuracy_of_a_table_of_answers():
    """A toy policy: for each sum a table of weighted answers; imitating what was kept moves it to the right ones."""
    chance = random.Random(0)
    sums = [(a, b) for a in range(1, 6) for b in range(1, 6)]
    policy = {f"{a} + {b}?": [f"{a} + {b} = {a + b + off}" for off in (-1, 0, 1, 2)] for a, b in sums}
    accuracy = [0.0, 0.0]
    for turn in range(2):
        rows = [Row(prompt=f"{a} + {b}?", answer=str(a + b)) for a, b in sums]
        drawn = [policy[row["prompt"]][chance.randrange(len(policy[row["prompt"]]))] for row in rows]
        accuracy[turn] = sum(text.endswith(f"= {row['answer']}") for text, row in zip(drawn, rows, strict=True)) / 25
        lm = Scripted(lambda prompt: chance.choice(policy[prompt]))
        for row in RejectionSampling(lm=lm, scorer=Right(), samples=16, pairs=0).curate(rows):
            policy[row["prompt"]] += [row["completion"]] * 12
    assert accuracy[0] < 0.5 and accuracy[1] > accuracy[0] + 0.3


def test_answers_or_pairs_alone():
    row = Row(prompt="p", completions=["1 + 2 = 3", "1 + 2 = 4"], scores=[1, 0])
    kinds = {emit: [kind(r) for r in RejectionSampling(emit=emit).curate([row])] for emit in ("sft", "pairs", "both")}
    assert kinds == {"sft": ["completion"], "pairs": ["preference"], "both": ["completion", "preference"]}


def test_options_that_cannot_be():
    with pytest.raises(RecipeError, match="an lm and a scorer"):
        RejectionSampling(lm=Scripted())
    with pytest.raises(RecipeError, match="at least 1"):
        RejectionSampling(most=0)
