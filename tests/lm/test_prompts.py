"""Many prompts at once equal one at a time, here and behind a server; prompts that fit."""

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM

from espalier.errors import ModelError, RowError
from espalier.lm.local import Local
from espalier.lm.prompts import beginning, count_tokens, fitting, logprobs_all
from espalier.lm.scripted import Scripted
from espalier.render import Renderer
from espalier.trees.engine import Engine
from tests.rerankers.tiny import engine_lm
from tests.tokenizers import byte_tokenizer

ASKED = [("a common beginning, then one", ["yes", "no"]), ("a common beginning, then two", ["yes"]), ("other", [])]
TOLD = {"method": "rerankers/upr", "instead": "Take another."}


def bloom() -> Local:
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.4)
    return Local(Engine(BloomForCausalLM(config), layout="rows"), Renderer(byte_tokenizer(), template="plain"))


@pytest.mark.parametrize("make", [engine_lm, bloom])
@pytest.mark.parametrize("budget", [1, 40, 4096])
def test_equals_one_prompt_at_a_time_whatever_the_budget(make, budget):
    lm = make()
    alone = [lm.logprobs(*asked) for asked in ASKED]
    lm.tokens_per_batch = budget
    found = logprobs_all(lm, ASKED, **TOLD)
    assert [len(values) for values in found] == [2, 1, 0]
    for one, other in zip(found, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)  # float32
    assert lm.counts.calls == 6, "each completion counts"


def test_a_batch_that_is_too_long_is_refused():
    with pytest.raises(
        RowError, match=r"rerankers/upr: .* the model reads 512; shorten them: set passage_tokens lower"
    ):
        logprobs_all(engine_lm(), [("x" * 600, ["yes"])], **TOLD)


def test_a_model_without_batches_is_asked_in_threads():
    lm = Scripted(logprob=lambda prompt, completion: float(len(prompt) + len(completion)))
    lm.concurrency = 4
    assert logprobs_all(lm, [("ab", ["c", "de"]), ("a", ["b"])], **TOLD) == [[3.0, 4.0], [2.0]]


def test_without_log_probabilities_the_sentence_says_what_to_do():
    with pytest.raises(
        ModelError, match=r"rerankers/upr asks for log-probabilities: .*logprob=function\. Take another\."
    ):
        logprobs_all(Scripted(), ASKED, **TOLD)


def test_tokens_are_the_models_own_where_they_are_known():
    assert (count_tokens(engine_lm(), "abcdefgh"), beginning(engine_lm(), "abcdefgh", 3)) == (8, "abc")
    assert (count_tokens(Scripted(), "abcdefgh"), beginning(Scripted(), "abcdefgh", 1)) == (2, "abcd")


def test_a_server_gets_the_prompt_as_it_is():
    assert fitting(Scripted(), lambda words: "x" * words, 300, 10, method="rerankers/lrl") == "x" * 300
