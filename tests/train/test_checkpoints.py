"""Checkpoints: everything comes back, whole or not at all."""

import json

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RunError
from espalier.train import checkpoints
from espalier.train.loop import fit
from tests.train.test_loop import Followed
from tests.train.toys import job_of, lora, single, small

TREES = [single(seed) for seed in range(8)]
EQUAL = {"rtol": 0, "atol": 0}


def job(folder, model=None):
    made = job_of(folder, Followed(), model or small(), TREES, steps=6)
    made.optimizer = torch.optim.AdamW(made.optimizer.param_groups, lr=1e-2, fused=True)
    return made


@pytest.mark.parametrize("make", [small, lambda: lora(small())])
def test_weights_optimizer_and_followers_come_back_to_the_bit(make, tmp_path):
    through = job(tmp_path / "a", make())
    fit(through)
    first = job(tmp_path / "b", make())
    first.steps = 3
    fit(first)
    checkpoints.save(tmp_path, 3, first.models, first.optimizer, {"best": 0.5})
    again = job(tmp_path / "c", make())
    assert checkpoints.load(tmp_path / "step-000003", again.models, again.optimizer)["best"] == 0.5
    fit(again, start=3)
    ours, theirs = (made.models.policy.inner.state_dict() for made in (again, through))
    assert_close(ours, theirs, **EQUAL)
    followers, expected = checkpoints.following(again.models), checkpoints.following(through.models)
    assert len(followers) == 2 * len(checkpoints.trained(through.models.policy.inner.model))
    for name, value in expected.items():
        assert_close(followers[name], value, **EQUAL)


def test_only_the_newest_are_kept(tmp_path):
    made = job(tmp_path / "a")
    for step in (1, 2, 3, 10):
        checkpoints.save(tmp_path, step, made.models, made.optimizer, {"best": 1.0})
    assert [checkpoints.step_of(path) for path in checkpoints.found(tmp_path)] == [3, 10]
    (tmp_path / "step-000003" / "state.json").unlink()  # what a kill leaves that comes while old ones are removed
    checkpoints.save(tmp_path, 11, made.models, made.optimizer, {})
    assert sorted(path.name for path in tmp_path.glob("step-*")) == ["step-000010", "step-000011"]


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_checkpoint_with_a_file_lost_or_cut_does_not_count(name, tmp_path):
    made = job(tmp_path / "a")
    for step in (1, 2):
        checkpoints.save(tmp_path, step, made.models, made.optimizer, {})
    file = tmp_path / "step-000002" / name
    file.write_bytes(file.read_bytes()[:-1])
    assert [path.name for path in checkpoints.found(tmp_path)] == ["step-000001"]
    file.unlink()
    assert [path.name for path in checkpoints.found(tmp_path)] == ["step-000001"]


def test_a_failure_while_writing_leaves_what_was_there(tmp_path, monkeypatch):
    checkpoints.write(tmp_path, "best", {"step.json": 1})
    monkeypatch.setattr(checkpoints.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoints.write(tmp_path, "best", {"step.json": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert json.loads((tmp_path / "best" / "step.json").read_text()) == 1


def test_what_a_kill_left_is_mended(tmp_path):
    (tmp_path / ".best.123.old").mkdir()
    (tmp_path / ".step-000002.123.partial").mkdir()
    (tmp_path / ".run.json.123.partial").write_text("{")
    (tmp_path / "step-000001").mkdir()
    (tmp_path / ".step-000001.9.old").mkdir()
    checkpoints.mend(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "step-000001"]


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {"intermediate_size": 28}])
def test_a_checkpoint_of_another_model_is_refused(changes, tmp_path):
    made, other = job(tmp_path / "a"), job(tmp_path / "b", small(**changes))
    checkpoints.save(tmp_path, 1, made.models, made.optimizer, {})
    with pytest.raises(RunError, match="the checkpoint is of another model or adapter"):
        checkpoints.load(tmp_path / "step-000001", other.models, other.optimizer)
