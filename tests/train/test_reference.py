"""The cache of the reference's log-probabilities."""

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RunError
from espalier.objectives.dpo import DPO
from espalier.train import reference
from espalier.train.loop import Here
from espalier.train.reference import ReferenceCache, tree_key, weights_key
from espalier.trees.forest import Forest
from tests import running
from tests.train.toys import lora, models_of, pair, policy_of, single, small

KEY = "ab" * 32


@pytest.fixture
def cache(tmp_path):
    made = ReferenceCache(tmp_path / "deep" / "reference.sqlite", KEY)
    yield made
    made.close()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_what_is_put_is_got_to_the_bit(kind, cache):
    trees = [single(0), pair(1)]
    values = [torch.randn(tree.counted, dtype=kind) for tree in trees]
    assert cache.get(trees[0]) is None
    cache.put(trees, values)
    for tree, value in zip(trees, values, strict=True):
        assert_close(cache.get(tree), value, rtol=0, atol=0)


def test_another_key_or_other_tokens_miss(cache, tmp_path):
    cache.put([single(0)], [torch.zeros(single(0).counted)])
    other = ReferenceCache(tmp_path / "deep" / "reference.sqlite", "cd" * 32)
    assert other.get(single(0)) is None and cache.get(single(1)) is None
    other.close()


def test_what_a_run_has_read_does_not_change_under_it(cache):
    tree = single(0)
    cache.put([tree], [torch.zeros(tree.counted)])
    cache.put([tree], [torch.ones(tree.counted)])
    assert not cache.get(tree).any()


def test_only_what_is_missing_is_computed_and_in_the_order_of_the_batch(cache, monkeypatch):
    models = models_of(DPO(), small())
    trees = [pair(seed) for seed in range(4)]
    here = Here(0, torch.Generator(), cache)
    expected = models.reference.token_logps(Forest.plant(trees)).detach()
    asked = []
    answers = models.reference.answers
    monkeypatch.setattr(models.reference, "answers", lambda forest: asked.append(forest.examples) or answers(forest))
    here.reference_logps(Forest.plant(trees[1:3]), models)
    assert_close(here.reference_logps(Forest.plant(trees), models), expected, rtol=0, atol=1e-5)
    assert_close(here.reference_logps(Forest.plant(trees[::-1]), models)[: trees[3].counted],
                 expected[-trees[3].counted :], rtol=0, atol=1e-5)  # fmt: skip
    assert asked == [2, 2]
    assert len(here.reference_logps(Forest.plant([]), models)) == 0


def test_keys_follow_weights_adapter_layout_and_masks():
    keys = {weights_key(small()), weights_key(small(1)), weights_key(small(), "rows"), weights_key(lora(small()))}
    assert len(keys) == 4
    assert weights_key(small()) == weights_key(policy_of(small()).inner.model)
    assert tree_key(single(0, weight=2.0)) == tree_key(single(0)) != tree_key(single(1))


def test_a_damaged_cache_is_one_sentence(tmp_path):
    (tmp_path / "reference.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match=r"reference\.sqlite: the cache .* is damaged .* Delete it"):
        ReferenceCache(tmp_path / "reference.sqlite", KEY)


def test_a_full_disk_is_one_sentence(cache):
    cache.connection.execute("PRAGMA max_page_count = 1")  # and no page more than there are
    trees = [single(seed) for seed in range(200)]
    with pytest.raises(RunError, match=r"the disk is full: .*reference\.sqlite .* reference = live"):
        cache.put(trees, [torch.zeros(tree.counted) for tree in trees])
    assert cache.get(trees[0]) is None


def fill(path, first):
    made = ReferenceCache(reference.Path(path), KEY)
    for seed in range(first, first + 20):
        made.put([single(seed)], [torch.full([single(seed).counted], float(seed))])
    made.close()


def test_processes_may_share_it(tmp_path):
    path = str(tmp_path / "reference.sqlite")
    processes = [running.SERVER.Process(target=fill, args=(path, first)) for first in (0, 10, 20)]
    for process in processes:
        process.start()
    assert [running.wait(process) for process in processes] == [0, 0, 0]
    cache = ReferenceCache(tmp_path / "reference.sqlite", KEY)
    assert [cache.get(single(seed))[0] for seed in range(40)] == list(range(40))
    cache.close()
