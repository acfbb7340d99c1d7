"""What is opened to be compared."""

from types import SimpleNamespace

import pytest

from espalier.cli import targets
from espalier.cli.chat import plain_prompts
from espalier.errors import RunError
from espalier.render import Renderer
from espalier.run import Loaded, Located, Run
from tests.evaluation.runs import write_run
from tests.tokenizers import byte_tokenizer


@pytest.fixture
def opened(monkeypatch):
    """Loading that loads nothing; what was asked for is kept."""
    asked = []

    def use(base=None, place=None):
        def load(target, *, dtype, options=None):
            asked.append((target, options))
            return Loaded(SimpleNamespace(describe=target), "renderer", target, base)

        monkeypatch.setattr(targets, "load", load)
        monkeypatch.setattr(targets, "locate", lambda target: place or Located(target))
        return asked

    return use


def test_one_model_and_another(opened):
    asked = opened()
    assert targets.open_targets("run", None)[1] is None
    assert targets.open_targets("run", "other")[1].describe == "other"
    assert asked == [("run", None), ("run", None), ("other", None)]


def test_the_base_of_an_adapter_is_the_same_model_with_the_adapter_off(opened):
    asked = opened(base=SimpleNamespace(describe="the base"))
    loaded, base = targets.open_targets("run", "base")
    assert base.policy is loaded.base and base.describe == "the base" and len(asked) == 1


def test_the_base_of_a_full_run_is_what_it_started_from(opened, tmp_path):
    run = Run(write_run(tmp_path / "run"))
    asked = opened(place=Located("run/model", None, "plain", "off", run))
    targets.open_targets("run", "base")
    assert asked[1] == ("m", {"template": "plain", "thinking": "off"})


def test_a_model_by_itself_has_no_base(opened):
    opened()
    with pytest.raises(RunError, match="--against MODEL"):
        targets.open_targets("model", "base")


@pytest.mark.parametrize(
    ("shown", "template", "plain"),
    [
        ("<s>Once upon a time", None, True),
        ("<s>User: Hi\n\nAssistant:", None, False),
        ("<s>Once upon a time", "{% for m in messages %}{{ m.content }}{% endfor %}", False),
    ],
)
def test_a_model_is_talked_to_as_it_was_trained(shown, template, plain, tmp_path, monkeypatch):
    place = Located("m", run=SimpleNamespace(read=lambda name, default: {"shown": [[shown, False], ["there", True]]}))
    monkeypatch.setattr("espalier.cli.chat.locate", lambda target: place)
    assert plain_prompts("run", Renderer(byte_tokenizer(), template=template)) == plain
