"""monoT5: the probability of one word against another, from an encoder-decoder and from a causal model."""

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError
from espalier.rerankers.mono_t5 import MonoT5, relevance
from tests.rerankers.tiny import SIZE, saved
from tests.tokenizers import bpe_tokenizer

T5 = {"vocab_size": 260, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}


def rows(*documents):
    return [Row(query="rain", document=document) for document in documents]


def test_formula():
    logits = torch.tensor([[5.0, 1.0, 0.0]], dtype=torch.float64)
    assert relevance(logits, (1, 2)).item() == pytest.approx(-math.log1p(math.exp(-1)))


def test_equals_t5_alone(tmp_path):
    config = T5Config(**T5, decoder_start_token_id=257, pad_token_id=257, eos_token_id=257)
    scorer = MonoT5(saved(T5ForConditionalGeneration(config), tmp_path))
    documents = ["wet", "a longer passage about clouds"]
    for document, value in zip(documents, scorer.score(rows(*documents)).values, strict=True):
        batch = scorer.opened.tokenizer(f"Query: rain Document: {document} Relevant:", return_tensors="pt")
        with torch.no_grad():
            logits = scorer.opened.model(**batch, decoder_input_ids=torch.tensor([[257]])).logits[0, 0]
        true, false = (scorer.opened.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in "tf")
        assert logits[[true, false]].log_softmax(-1)[0].item() == pytest.approx(value, abs=1e-5)  # float32


def test_equals_a_causal_model_alone_and_a_long_passage_keeps_the_end(tmp_path):
    model = LlamaForCausalLM(LlamaConfig(**SIZE, max_position_embeddings=128, pad_token_id=259))
    scorer = MonoT5(saved(model, tmp_path, bpe_tokenizer([("Ġ", "t"), ("Ġ", "f")], pad="</s>")))
    values = scorer.score(rows("wet", "x" * 400, "x" * 900)).values
    tokenizer = scorer.opened.tokenizer
    with torch.no_grad():
        batch = tokenizer("Query: rain Document: wet Relevant:", return_tensors="pt")
        logits = scorer.opened.model(**batch).logits[0, -1]
    words = tokenizer.convert_tokens_to_ids(["Ġt", "Ġf"])
    assert values[0] == pytest.approx(logits[words].log_softmax(-1)[0].item(), abs=1e-5)  # float32
    assert values[1] == pytest.approx(values[2], abs=1e-6)


def test_words_that_begin_alike_are_refused(tmp_path):
    folder = saved(LlamaForCausalLM(LlamaConfig(**SIZE)), tmp_path)
    with pytest.raises(ModelError, match="'true' and 'false' begin with the same token"):
        MonoT5(folder).score(rows("a"))


def test_options_that_cannot_be_are_refused():
    with pytest.raises(RecipeError, match="two different words"):
        MonoT5(words=("yes", "yes"))
