"""A local model behind virtual tokens: they take their part of the context."""

import pytest

from espalier.errors import RowError
from espalier.lm.local import Local
from espalier.models.roles import Role
from espalier.trees.engine import Engine
from tests.adapters.kinds import adapter_of
from tests.evaluation.tiny import RENDERER, tiny_role


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks for it
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_leave_less_of_the_context(kind):
    plain = tiny_role()
    assert Local(plain, RENDERER).context == 96
    model = Local(Role(Engine(adapter_of(kind, tokens=5).attach(plain.inner.model).eval())), RENDERER)
    assert model.context == 91
    prompt = "a" * (91 - len(RENDERER.prompt("")) - 3)
    [[sample]] = model.sample([prompt], temperature=0.0, max_tokens=50)
    assert len(sample.ids) <= 3
    with pytest.raises(RowError, match="the model reads 91"):
        model.sample(["a" * 91])
