"""Training a token classifier: its targets, rate and loss, what it learns and saves, and rows that teach nothing."""

import math

import pytest
import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError, RunError
from espalier.evaluation.hallucinations import ALL, detection
from espalier.hallucinations import Span
from espalier.judges.hallucination_tokens import HallucinationTokens
from espalier.judges.hallucination_words import HallucinationWords
from espalier.models.token_classifier import Written
from espalier.train.token_labels import IGNORED, TokenLabels, rate, targets, token_loss
from tests.rerankers.tiny import SIZE, saved
from tests.tokenizers import byte_tokenizer

SMALL = {**SIZE, "max_position_embeddings": 64}


def rows(count: int, seed: int = 0) -> list[Row]:
    """Completions in which every digit is made up, though the passage has them all."""
    chance = torch.Generator().manual_seed(seed)
    letters = torch.randint(0, 8, (count, 6), generator=chance).tolist()
    found = [" ".join("bcdefg12"[number] for number in row) for row in letters]
    labels = [[{"start": n, "end": n + 1} for n, char in enumerate(text) if char.isdigit()] for text in found]
    return [Row(completion=t, passages=["1 or 2"], labels=at) for t, at in zip(found, labels, strict=True)]


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_learns_what_is_labeled_and_saves_it(kind, tmp_path, capfd):
    torch.manual_seed(0)
    size = SMALL | {"initializer_range": 0.1}
    model = BertModel(BertConfig(**size)) if kind == "encoder" else LlamaForCausalLM(LlamaConfig(**size))
    base, out, steps = str(tmp_path / "base"), tmp_path / "out", []
    model.save_pretrained(base)
    byte_tokenizer(pad="</s>").save_pretrained(base)
    capfd.readouterr()
    state = torch.get_rng_state()
    training = TokenLabels(epochs=3, learning_rate=1e-2, max_tokens=64)
    assert training.train(rows(64), base, out, lambda *step: steps.append(step)) == 0
    assert steps[0][:2] == (1, 24) and steps[-1][0] == 24 and torch.equal(torch.get_rng_state(), state)
    test, found = rows(20, seed=1), HallucinationTokens(str(out)).detect(rows(20, seed=1))
    assert detection(test, found, resamples=20).spans[ALL].f1.value > 0.9
    assert detection(test, HallucinationWords().detect(test), resamples=20).spans[ALL].f1.value == 0.0
    assert not list(tmp_path.glob(".*")) and capfd.readouterr() == ("", "")


def test_formula_targets_and_rate():
    written = Written([0] * 4, [0] * 4, [None, (0, 2), (2, 4), (4, 5)])
    assert targets(written, [Span(3, 4), Span(9, 10)]) == [IGNORED, 0, 1, 0]
    assert [rate(step, 10, 0.2) for step in range(4)] == [0.5, 1.0, 1.0, 7 / 8] and rate(9, 10, 0.2) == 1 / 8


def test_formula_loss_is_a_mean_over_tokens_of_completions():
    class Fixed:
        @staticmethod
        def logits(batch):
            return torch.tensor([[[0.0, 0.0], [0.0, 2.0], [5.0, 5.0]], [[1.0, 0.0], [9.0, 9.0], [9.0, 9.0]]])

    one, two = Written([0] * 3, [0] * 3, [None, (0, 1), (1, 2)]), Written([0], [0], [(0, 1)])
    got = token_loss(Fixed(), [(one, [IGNORED, 1, 0]), (two, [0])])
    assert got.item() == pytest.approx(
        (math.log1p(math.exp(-2)) + math.log(2) + math.log1p(math.exp(-1))) / 3, rel=1e-6
    )


def test_what_cannot_be(tmp_path):
    base, new = saved(BertModel(BertConfig(**SMALL)), tmp_path / "base"), tmp_path / "new"
    training = TokenLabels(max_tokens=64)
    with pytest.raises(RowError, match="no row has a labeled span"):
        training.train([Row(completion="a", passages=[], labels=[])], base, new)
    with pytest.raises(RowError, match="every completion is too long for 64 tokens"):
        training.train([Row(completion="a" * 99, passages=[], labels=[{"start": 0, "end": 1}])], base, new)
    with pytest.raises(RunError, match="is there already"):
        training.train(rows(3), base, tmp_path)
    with pytest.raises(RecipeError, match="at least 1"):
        TokenLabels(epochs=0)
    assert not new.exists()
