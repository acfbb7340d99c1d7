"""Evaluations: numbers worked by hand from the model's own forward, ties, what is left out, and what changed."""

import copy
import json
import lzma
import math
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from espalier.contracts import Row, Sample
from espalier.errors import RowError
from espalier.evaluation.compare import compare
from espalier.evaluation.conditions import closed, distracted
from espalier.evaluation.evaluate import evaluate
from espalier.lm.local import Local
from espalier.lm.scripted import Scripted
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.trees.engine import Engine
from tests.evaluation.asked import BELMI, told
from tests.evaluation.asked import row as question
from tests.evaluation.tiny import PAIRS, RENDERER, SAID, logp, tiny_role
from tests.tokenizers import byte_tokenizer


@pytest.fixture(scope="module")
def model() -> Role:
    return tiny_role()


def test_equals_perplexity_and_bits_per_byte_by_hand(model):
    found = evaluate(model, SAID, RENDERER, generate=False).metrics
    nats = -sum(logp(model, row["prompt"], row["completion"]) for row in SAID)
    size = sum(len(row["completion"].encode()) for row in SAID)
    tokens = size + len(SAID)  # a token a byte, and the end token, which has no byte
    assert found["perplexity"].value == pytest.approx(math.exp(nats / tokens), rel=1e-5)  # float32
    assert found["bits_per_byte"].value == pytest.approx(nats / math.log(2) / size, rel=1e-5)
    assert found["perplexity"].n == 12
    assert found["perplexity"].low < found["perplexity"].value < found["perplexity"].high


def test_text_and_messages_count_what_is_trained(model):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    found = evaluate(model, [Row(text="Ho ho ho."), Row(messages=talk)], RENDERER, generate=False)
    tokens = [example.scores["perplexity"][1] for example in found.examples]
    assert tokens == [len("Ho ho ho.") + 1, RENDERER.conversation(talk)[0].mask.sum()]
    assert found.examples[1].prompt == "user: Hi" and found.examples[1].reference == "Ho"


def test_equals_preferences_by_hand(model):
    reference = tiny_role(1)
    found = evaluate(model, PAIRS, RENDERER, reference=reference, generate=False)
    for row, example in zip(PAIRS, found.examples, strict=True):
        now, before = (
            [logp(one, row["prompt"], row[side]) for side in ("chosen", "rejected")] for one in (model, reference)
        )
        margin = now[0] - before[0] - (now[1] - before[1])
        assert example.scores["reward_margin"][0] == pytest.approx(margin, abs=1e-3)  # float32, sums of 20 tokens
        assert example.scores["reward_accuracy"] == (float(margin > 0), 1.0)
        assert example.scores["logp_accuracy"] == (float(now[0] > now[1]), 1.0)
        lengths = [len(row[side].encode()) + 1 for side in ("chosen", "rejected")]
        means = [value / length for value, length in zip(now, lengths, strict=True)]
        assert example.scores["mean_logp_accuracy"] == (float(means[0] > means[1]), 1.0)
    assert found.metrics["logp_accuracy"].value == 1.0  # the rejected ones are longer: sums prefer the short
    assert found.metrics["logp_accuracy"].low < 0.8


def test_a_policy_that_is_its_reference_ties(model):
    twin = Role(copy.deepcopy(model.inner))
    found = evaluate(model, [*SAID, *PAIRS], RENDERER, reference=twin, generate=False)
    metric = found.metrics["reward_accuracy"]
    assert (metric.value, metric.n) == (0.5, 12) and metric.low < 0.5 < metric.high
    assert found.metrics["reward_margin"].value == 0
    assert all(change.word == "cannot say" for change in compare(found, found))


def test_equals_options_by_hand(model):
    options = ["yes", "a rather long answer", "no"]
    sums = [logp(model, "Q?", option) for option in options]
    per_byte = [value / len(option) for value, option in zip(sums, options, strict=True)]
    best = sums.index(max(sums)), per_byte.index(max(per_byte))
    rows = [Row(prompt="Q?", options=options, answer=answer) for answer in (best[0], options[best[1]], "C")]
    found = evaluate(model, rows, RENDERER)
    assert [e.scores["option_accuracy"][0] for e in found.examples] == [
        1.0,
        float(best[0] == best[1]),
        float(best[0] == 2),
    ]
    assert found.examples[1].scores["option_accuracy_per_byte"][0] == 1.0
    assert found.examples[2].reference == "no" and found.examples[2].answer is None


def test_rows_that_cannot_be_measured_are_counted_with_their_reason(model):
    rows = [
        *SAID[:2],
        Row(prompt="p", completion="x" * 200),
        Row(prompt="p", options=["a", "b"], answer="third"),
        Row(prompt="p", options="ab", answer=0),
        Row(completion="c"),
        Row(prompt="p", completion="c", label=False),
        Row(prompt="y" * 95),
        Row(prompt="y" * 97),
    ]
    found = evaluate(model, rows, RENDERER, max_tokens=3)
    assert found.rows == 9 and [e.row for e in found.examples] == [0, 1, 7, 8]
    assert found.skipped == {
        "longer than the model's context of 96 tokens": 1,
        "'answer' is neither the number of an option (from 0), nor its text, nor its letter": 1,
        "'options' is not a list of two or more texts": 1,
        "missing 'prompt'; an evaluation needs prompt, messages, question or text": 1,
        "a completion that is labelled as bad is no target": 1,
        "not answered: the prompt fills the model's context": 2,
    }
    bare = evaluate(model, [Row(prompt="")], Renderer(byte_tokenizer(bos=False), template="plain"))
    assert bare.skipped == {"not answered: the prompt is empty and the tokenizer has no start token": 1}
    with pytest.raises(RowError, match="none of 1 rows can be measured: longer than"):
        evaluate(model, [rows[2]], RENDERER)
    with pytest.raises(RowError, match="there are none"):
        evaluate(model, [], RENDERER)


def test_answers_are_those_of_the_local_model(model):
    found = evaluate(model, SAID, RENDERER, max_tokens=8, seed=3)
    expected = Local(model, RENDERER).sample([row["prompt"] for row in SAID], temperature=0, max_tokens=8)
    assert [example.answer for example in found.examples] == [sample.text for [sample] in expected]
    assert found.metrics["ended"].value == sum(sample.ended for [sample] in expected) / 12
    assert found.metrics["length"].value == sum(len(sample.ids) for [sample] in expected) / 12
    few = evaluate(model, SAID, RENDERER, max_tokens=8, answered=5)
    assert [e.answer for e in few.examples] == [e.answer for e in found.examples[:5]] + [None] * 7


def test_progress_is_told_to_the_end(model):
    told: list[tuple[str, int, int]] = []
    evaluate(model, [*SAID, *PAIRS], RENDERER, reference=model, max_tokens=2, progress=lambda *what: told.append(what))
    assert ("evaluating", 36, 36) in told and told[-1] == ("sampling", 24, 24)


class Said(Scripted):
    """A scripted model whose answers were cut off."""

    def sample(self, *args: Any, **more: Any) -> list[list[Sample]]:
        return [[Sample(s.text, ended=False) for s in row] for row in super().sample(*args, **more)]


def test_a_client_is_measured_by_what_it_says():
    rows = [
        Row(prompt="한국의 수도는?", completion="서울"),
        Row(prompt="Capital of France?", answers=["Paris", "City of Light"]),
        Row(prompt="Capital of Korea?", completion="Seoul"),
    ]
    lm = Said("서울", "<think>hm</think>\n\nThe city of light.", "서울")
    found = evaluate(lm, rows, RENDERER)
    assert {name: metric.value for name, metric in found.metrics.items()} == pytest.approx(
        {"exact_match": 2 / 3, "f1": 2 / 3, "ended": 0, "same_script": 2 / 3, "repetition": 0}
    )
    assert found.metrics["repetition"].n == 1 and found.metrics["repetition"].low is None


def test_a_client_has_options_and_preferences_but_no_raw_text():
    lm = Scripted(logprob=lambda prompt, completion: -float(len(completion)))
    rows = [Row(prompt="?", options=["long one", "short"], answer=1), *PAIRS, Row(text="raw")]
    found = evaluate(lm, rows, RENDERER, generate=False)
    assert found.metrics["option_accuracy"].value == found.metrics["logp_accuracy"].value == 1
    assert found.skipped == {"raw text needs a model on this machine": 1}


@pytest.mark.data
def test_a_real_model_knows_a_story_from_a_shuffled_one(data_folder):
    folder = data_folder.parent / "models" / "stories260k"
    renderer = Renderer(AutoTokenizer.from_pretrained(folder))
    stories = Role(Engine(AutoModelForCausalLM.from_pretrained(folder)))
    told = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    mixed = " ".join(sorted(told.split()))
    found = evaluate(stories, [Row(prompt="", options=[mixed, told], answer=1)], renderer)
    assert found.metrics["option_accuracy"].value == found.metrics["option_accuracy_per_byte"].value == 1
    as_text = evaluate(stories, [Row(text=told)], renderer)
    assert 1.2 < as_text.metrics["perplexity"].value < 3


def test_questions_by_hand():
    rows = [
        question("Where was Belmi born?", passages=[BELMI], gold=[0], kind="place"),
        question("When was Belmi born?", "1874", passages=[BELMI], gold=[0], kind="date"),
        question("Who was Belmi's mother?", passages=[BELMI], gold=[], answerable=False, kind="person"),
        question("Where did Belmi die?", "Ostra", passages=[BELMI], gold=[], kind="place"),
    ]
    replies = (
        told("Kastel", BELMI["text"]),
        told("born in 1874", "in 1874"),
        told("not stated"),
        told("not stated"),
    )
    lm = Scripted(*replies)
    found = evaluate(lm, rows, RENDERER, by="kind")
    values = {name: (metric.value, metric.n) for name, metric in found.metrics.items() if name != "repetition"}
    assert values == {
        "exact_match": (1 / 3, 3), "f1": (pytest.approx((1 + 2 / 4 + 0) / 3), 3),
        "abstained": (1, 1), "abstained_falsely": (1 / 3, 3),
        "quote_found": (2 / 3, 3), "quote_gold": (2 / 3, 3), "ended": (1, 4),
    }  # fmt: skip
    assert found.groups["place"]["exact_match"].value == 0.5 and found.groups["place"]["exact_match"].n == 2
    assert list(found.groups) == ["place", "date", "person"] and "exact_match" not in found.groups["person"]
    assert str(lm.calls[0].prompt).startswith("Answer from the passages.")
    assert found.examples[0].passages == [{**BELMI, "gold": True}] and found.examples[0].prompt == rows[0]["question"]


def test_questions_are_asked_as_they_are_shown():
    lm = Scripted(lambda prompt: told("Kastel") if prompt == "Question: Where was Belmi born?" else "")
    rows = [question(passages=[BELMI], gold=[0]), Row(prompt="p", completion="c")]
    found = evaluate(lm, rows, RENDERER, show=closed)
    assert found.metrics["exact_match"].value == 1 and "quote_found" not in found.metrics
    assert found.skipped == {"no question with answers; only such rows can be asked under a condition": 1}


@pytest.mark.data
@pytest.mark.parametrize("name", ["xquad.en.json.xz", "xquad.zh.json.xz"])
def test_real_questions_are_answered_by_who_knows_the_answers(data_folder, name):
    articles = json.loads(lzma.decompress((data_folder / "qa" / name).read_bytes()))["data"][:6]
    rows, replies = [], {}
    for paragraph in (p for article in articles for p in article["paragraphs"]):
        for asked in paragraph["qas"]:
            said, key = asked["answers"][0]["text"], " ".join(asked["question"].split())
            if key not in replies:  # two are asked twice, of different paragraphs
                rows.append(question(key, said, passages=[{"text": paragraph["context"]}], gold=[0]))
                replies[key] = told(said, said)
    lm = Scripted(lambda prompt: replies[prompt.splitlines()[-1].removeprefix("Question: ")])
    found = evaluate(lm, rows, RENDERER, show=distracted(rows, 3, seed=0))
    assert len(rows) > 100 and not found.skipped
    wrong = {name: 1 - found.metrics[name].value for name in ("exact_match", "f1", "quote_found", "quote_gold")}
    assert wrong == {"exact_match": 0, "f1": 0, "quote_found": 0, "quote_gold": 0}
