"""The rehearsal: the longest piece, tried before the first step."""

import pytest
import torch

from espalier.objectives.sft import SFT
from espalier.train import rehearsal
from espalier.train.rehearsal import rehearse
from espalier.trees.tree import Tree
from tests.train.toys import branch, here, job_of, single, small


def rehearsed(tmp_path, budget=40):
    trees = [*(single(seed) for seed in range(6)), Tree.of([branch([1] * 30, [2] * 5)], weight=1.0)]
    job = job_of(tmp_path, SFT(), small(), trees)
    before = [p.clone() for p in job.models.policy.inner.parameters()]
    found = rehearse(job.objective, job.models, job.store, range(len(trees)), here(), budget)
    assert all(p.grad is None for p in job.models.policy.inner.parameters())
    assert all(torch.equal(p, was) for p, was in zip(job.models.policy.inner.parameters(), before, strict=True))
    return found, job.models


def test_the_longest_row_is_tried_and_nothing_changes(tmp_path):
    found, _ = rehearsed(tmp_path)
    assert 35 <= found.tokens <= 40 and found.tokens_per_piece == 40 and not found.note
    assert found.seconds > 0 and found.memory > 10**7


def test_a_row_beyond_the_budget_is_tried_alone(tmp_path):
    found, _ = rehearsed(tmp_path, budget=10)
    assert found.tokens == 35


def test_too_little_memory_halves_the_budget_once_and_says_so(tmp_path, monkeypatch):
    attempt, calls = rehearsal._try, []

    def small_device(*args):
        calls.append(args)
        if len(calls) == 1:
            raise torch.OutOfMemoryError
        return attempt(*args)

    monkeypatch.setattr(rehearsal, "_try", small_device)
    found, models = rehearsed(tmp_path)
    assert found.tokens_per_piece == 20 == models.policy.max_tokens
    assert found.note == "40 tokens at once do not fit into the device's memory; going on with 20"


def test_memory_that_is_too_little_twice_is_not_hidden(tmp_path, monkeypatch):
    def no_device(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(rehearsal, "_try", no_device)
    with pytest.raises(torch.OutOfMemoryError):
        rehearsed(tmp_path)
