"""`espalier doctor`."""

from importlib import metadata
from types import SimpleNamespace

import pytest
import torch

from espalier import console, doctor


def test_it_prints_everything_and_fails_at_nothing(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "MEASURED_SECONDS", 0.0)
    doctor.examine(console.make())
    printed = capsys.readouterr().out
    for word in ("python", "torch", "transformers", "cores", "memory", "disk", "gpu", "float32", "bfloat16", "GFLOP/s"):
        assert word in printed


def test_without_torch_it_still_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    doctor.examine(console.make())
    assert "packages" in capsys.readouterr().out


def test_what_is_missing_comes_with_the_command_that_adds_it(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch>=2", "ghost>=1.5; extra == 'haunted'", "rich<1"])
    found = [(label, str(fact)) for label, fact in doctor.installed()]
    assert ("haunted", "missing: pip install 'ghost>=1.5'") in found
    assert ("packages", "missing: pip install 'rich<1'") in found
    assert ("packages", f"torch {metadata.version('torch')}") in found


def test_a_folder_that_is_not_installed_knows_its_groups(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    found = doctor.groups()
    assert "torch" in {r.name for r in found[doctor.NEEDED]} and "pytest" in {r.name for r in found["dev"]}


def test_a_gpu_that_torch_cannot_see_is_told_loudly(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "gpu_sign", lambda: "/dev/nvidia0")
    [warning] = doctor.warnings()
    assert warning.startswith(f"a GPU is there (/dev/nvidia0) but torch {torch.__version__} cannot see it.")
    monkeypatch.setattr(doctor, "gpu_sign", lambda: None)
    assert doctor.warnings() == []


@pytest.mark.parametrize(
    ("environment", "cuda", "reason"),
    [
        ({"CUDA_VISIBLE_DEVICES": ""}, "13.0", "unset CUDA_VISIBLE_DEVICES"),
        ({}, None, "built for the CPU alone"),
        ({"CUDA_VISIBLE_DEVICES": "0"}, "13.0", "driver"),
    ],
)
def test_the_reason_is_said(environment, cuda, reason):
    assert reason in doctor._reason(environment, SimpleNamespace(cuda=cuda, hip=None))


def test_where_a_gpu_shows_itself(tmp_path, monkeypatch):
    said = {"nvidia-smi": "", "lspci": ""}
    monkeypatch.setattr(doctor, "_output", lambda words: said[words[0]])
    assert doctor.gpu_sign(tmp_path) is None
    said["lspci"] = "00:01.0 VGA compatible controller: Cirrus Logic\n01:00.0 3D controller: NVIDIA Corporation GA102\n"
    assert doctor.gpu_sign(tmp_path) == "01:00.0 3D controller: NVIDIA Corporation GA102"
    said["nvidia-smi"] = "GPU 0: NVIDIA A10 (UUID: x)\n"
    assert doctor.gpu_sign(tmp_path).startswith("GPU 0: NVIDIA A10")
    (tmp_path / "nvidia0").touch()
    assert doctor.gpu_sign(tmp_path) == str(tmp_path / "nvidia0")


def test_a_command_that_is_not_there_says_nothing():
    assert doctor._output(["a-command-that-is-not-there"]) == ""


def test_memory_knows_the_limit_of_a_container(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       8388608 kB\nMemAvailable:   4194304 kB\n", encoding="utf-8")
    assert doctor.memory(tmp_path / "meminfo", tmp_path / "none") == "8.0 GB, 4.0 GB free"
    (tmp_path / "max").write_text("2147483648\n", encoding="utf-8")
    assert doctor.memory(tmp_path / "meminfo", tmp_path / "max").endswith("this container may use 2.0 GB")
    (tmp_path / "max").write_text("max\n", encoding="utf-8")
    assert "container" not in doctor.memory(tmp_path / "meminfo", tmp_path / "max")


def test_measuring_leaves_torch_as_it_was():
    before = torch.get_float32_matmul_precision()
    rates = doctor.gemm_rates(0.0)
    assert all(rate > 0 for rate in rates.values()) and len(rates) == 3
    assert torch.get_float32_matmul_precision() == before
