"""`espalier estimate`: a table that says what fits, what to type, and how sure it is."""

import json

import pytest

from espalier import estimating
from espalier.cli import main
from espalier.estimating import GB, Estimate, Machine, Way
from espalier.models.precision import Precision
from tests.models_on_disk import answers, save_model, write_rows

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks
WAYS, SOME = estimating.ways, ("all weights", "lora", "rslora")  # each takes a second
LINE = ["estimate", "--model", "model", "--data", "rows.jsonl", "batch_size=4"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(estimating, "measure", lambda device: Machine({"float32": 1e9}, 1e9))
    monkeypatch.setattr(estimating, "decide", lambda *_: Precision("float32"))
    monkeypatch.setattr(estimating, "ways", lambda adapter: [one for one in WAYS(adapter) if one.name in SOME])
    save_model(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl", answers())


def test_a_table_of_ways(capsys):
    assert main([*LINE, "--memory", "24GB"]) == 0
    out = capsys.readouterr().out
    assert "24.0 GB, cpu; 768 tokens computed at once" in out
    assert "--adapter full" in out and "--adapter lora" in out
    assert "2 of 2 fit into 24.0 GB." in out
    assert "within 15 %" in out and "factor of three" in out
    assert sorted(path.name for path in estimating.Path().iterdir()) == ["cache", "model", "rows.jsonl"]


def test_json_and_another_adapter(capsys):
    assert main([*LINE, "--adapter", "rslora", "rank=2", "--json", "--memory", "1MB"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 2 and not any(one["fits"] for one in found)
    assert found[1]["options"] == "--adapter rslora" and found[1]["trained"] < found[0]["trained"]
    assert found[0].keys() >= {"memory_gb", "tokens_per_second", "hours"}


def test_where_nothing_fits_the_nearest_is_named(capsys):
    assert main([*LINE, "--memory", "10MB"]) == 0
    out = capsys.readouterr().out
    assert "Nothing fits into 0.0 GB. The nearest is" in out and "--max-tokens" in out


def test_a_card_that_is_not_here(capsys, monkeypatch):
    monkeypatch.setattr(estimating.torch.cuda, "is_available", lambda: False)
    assert main([*LINE, "--device", "cuda", "--memory", "24GB"]) == 0
    assert "24.0 GB, cuda; 16,384 tokens computed at once" in capsys.readouterr().out
    assert main([*LINE, "--device", "cuda"]) == 2
    assert "Say how much: --memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--memory", "lots"], "not an amount of memory"),
        (["--device", "tpu"], "no such device. Known: cpu, cuda"),
        (["--adapter", "loar"], "Did you mean"),
        (["--model", "no/such/folder"], "no such folder"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, capsys):
    assert main([*LINE, *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_verdict_counts_what_fits():
    from espalier.cli.estimating import verdict

    found = [Estimate(Way(name, ""), 1, 1, size * GB, None, None) for name, size in (("a", 2), ("b", 1))]
    assert verdict(found, 1.5 * GB) == "1 of 2 fit into 1.5 GB."
    assert "The nearest is b, with 1.0 GB" in verdict(found, 0.5 * GB)
