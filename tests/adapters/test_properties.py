"""What every adapter promises, asked of all of them."""

import pytest
import torch
from peft import PeftModel
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from espalier.catalogue import addresses, load
from espalier.contracts import Moment
from espalier.errors import ModelError
from espalier.models.combine import open_adapters, switch
from espalier.models.roles import assemble
from espalier.objectives.sft import SFT
from espalier.train.step import optimize
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from tests.adapters.kinds import (
    KINDS,
    MERGING,
    OURS,
    PEFTS,
    VIRTUAL,
    adapter_of,
    attached,
    logits,
    logps,
    moved,
    opened,
    rows,
    saved,
    steps,
    trained,
)
from tests.train.toys import Kept, models_of, policy_of, prepared, small

# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")
every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def test_every_adapter_is_asked():
    assert {f"adapters/{kind}" for kind in KINDS} == set(addresses("adapters"))


@every_kind
def test_at_the_start_the_model_is_the_base_where_that_is_promised(kind):
    model = attached(kind)
    off = float((logits(model) - logits(small())).abs().max())
    assert (off < 1e-5) == adapter_of(kind).starts_at_base == (kind not in VIRTUAL)


@every_kind
def test_switched_off_it_is_the_base_and_then_itself_again(kind):
    model = moved(kind)
    acting = logits(model)
    assert not torch.allclose(acting, logits(small()), atol=1e-2)
    with model.disable_adapter():
        assert_close(logits(model), logits(small()), rtol=0, atol=0)
        assert_close(logps(model), logps(small()), rtol=0, atol=0)
    assert_close(logits(model), acting, rtol=0, atol=0)


@pytest.mark.parametrize("kind", MERGING)
def test_merged_is_unmerged(kind):
    model = moved(kind)
    expected = logits(model)
    assert_close(logits(model.merge_and_unload()), expected, rtol=1e-3, atol=1e-3)  # float32, added once or twice


@every_kind
def test_equals_its_own_forward_in_both_layouts(kind):
    model = moved(kind)
    forest = Forest.plant(rows(3), min_shared=1)
    own = []
    for path in forest.paths:
        ids = torch.from_numpy(path.ids).long()
        own.append(logits(model, ids[None])[0].log_softmax(-1)[path.counted - 1, ids[path.counted]])
    for layout in ("trees", "rows"):
        with torch.no_grad():
            found = Engine(model, layout=layout)(forest)["logps"]
        assert_close(found, torch.cat(own), rtol=1e-4, atol=1e-4)  # float32


@every_kind
def test_only_the_adapter_moves(kind):
    model = moved(kind)
    mine = trained(model).keys()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    steps(kind, model, 2, 1e-2)
    still = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert not still & mine or kind == "dylora", "all that is trained moves; DyLoRA's rank may leave rows alone"
    assert still >= before.keys() - mine
    base = dict(small().named_parameters())
    for name, value in model.named_parameters():
        known = name.removeprefix("base_model.").removeprefix("model.").replace("base_layer.", "")
        if name not in mine and known in base and kind != "llama_pro":
            assert torch.equal(value, base[known])


@every_kind
def test_equals_itself_saved_and_opened_again(kind, tmp_path):
    model = moved(kind)
    expected, seen = logits(model), logps(model)
    folder = saved(model, tmp_path / "adapter")
    if kind == "llama_pro":
        again = AutoModelForCausalLM.from_pretrained(folder).eval()
    else:
        again = opened(folder)
        assert not trained(again)
    assert_close(logits(again), expected, rtol=1e-5, atol=1e-5)
    assert_close(logps(again), seen, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Specified to not (save|load) vera_A")
@pytest.mark.filterwarnings("ignore:The following rank_pattern keys did not match")
@pytest.mark.parametrize("kind", PEFTS)
def test_equals_what_peft_alone_opens(kind, tmp_path):
    model = moved(kind)
    expected = logits(model)
    found = PeftModel.from_pretrained(small(), saved(model, tmp_path / "adapter")).eval()
    assert_close(logits(found), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"llama_pro"}))
def test_a_saved_adapter_can_be_trained_on(kind, tmp_path):
    model = opened(saved(moved(kind), tmp_path / "adapter"), trainable=True)
    expected = logits(model)
    models = models_of(SFT(), model)
    forest, optimizer = prepared(SFT(), models, rows(4)), torch.optim.AdamW(list(trained(model).values()), lr=1e-2)
    first, *_, last = (optimize(SFT(), models, forest, optimizer)["loss"] for _ in range(4))
    assert last < first and not torch.equal(logits(model), expected)


@pytest.mark.parametrize("kind", PEFTS)
def test_two_adapters_switched_are_each_alone(kind, tmp_path):
    one, two = moved(kind, 0), moved(kind, 5)
    expected = {"one": logits(one), "two": logits(two)}
    folders = {"one": saved(one, tmp_path / "one"), "two": saved(two, tmp_path / "two")}
    model = open_adapters(small(), folders).eval()
    for name in ("one", "two", "one"):
        switch(model, name)
        assert_close(logits(model), expected[name], rtol=1e-5, atol=1e-5)
    assert not trained(model)


@every_kind
def test_the_same_seed_starts_at_the_same_weights(kind):
    one, again, other = (trained(attached(kind, seed)) for seed in (3, 3, 4))
    assert all(torch.equal(p, again[name]) for name, p in one.items())
    drawn = kind not in ("ia3", "intrinsic", "llama_pro", "vera")  # these draw nothing that is trained
    assert drawn == any(not torch.equal(p, other[name]) for name, p in one.items())


@every_kind
def test_property_pieces_add_up(kind):
    gradients = []
    for tokens in (None, 8):
        model = moved(kind)
        models = models_of(SFT(), model)
        forest, kept = prepared(SFT(), models, rows(5)), Kept(model)
        moment = Moment(0, 4, torch.Generator().manual_seed(0))
        adapter = adapter_of(kind)
        report = optimize(SFT(), models, forest, kept, max_tokens=tokens, max_norm=0, adapter=adapter, moment=moment)
        gradients.append(kept.gradient)
    assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)  # float32
    assert ("penalty" in report) == (kind == "adalora")


@every_kind
def test_learns_an_answer(kind):
    model = attached(kind)
    losses = steps(kind, model, 30, 2e-3 * adapter_of(kind).rate)
    assert losses[-1] < losses[0] - 0.15


class Preferring:
    from espalier.contracts import Frozen

    reference = Frozen()


@every_kind
def test_a_frozen_copy_stays_what_the_adapter_was(kind):
    policy = policy_of(moved(kind))
    before = logps(policy.inner.model)
    forest = Forest.plant(rows(2), min_shared=1)
    reference = assemble(Preferring(), policy, fresh_adapter=False).reference
    names = trained(policy.inner.model).keys()
    with torch.no_grad():
        for p in trained(policy.inner.model).values():
            p.add_(0.1)
        assert_close(reference.token_logps(forest), before, rtol=1e-6, atol=1e-6)
        assert not torch.allclose(policy.token_logps(forest), before, atol=1e-3)
    assert trained(policy.inner.model).keys() == names


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"llama_pro", "intrinsic"}))
def test_an_adapter_for_another_base_is_refused(kind, tmp_path):
    folder = saved(moved(kind), tmp_path / "adapter")
    wider = small(hidden_size=24, intermediate_size=40, head_dim=8)
    with pytest.raises(ModelError, match="does not fit the model: it was made for tiny"):
        opened(folder, wider)


@pytest.mark.parametrize("kind", sorted(OURS - {"llama_pro"}))
def test_an_adapter_of_ours_for_more_layers_is_refused(kind, tmp_path):
    folder = saved(moved(kind), tmp_path / "adapter")
    with pytest.raises(ModelError, match="it was made for tiny"):
        opened(folder, small(num_hidden_layers=3))


def test_what_cannot_be_merged_says_so():
    with pytest.raises(ModelError, match="adapters/bottleneck adds layers of its own; it cannot be merged"):
        attached("bottleneck").merge_and_unload()


def test_every_adapter_names_its_paper_and_departures():
    for address in addresses("adapters"):
        assert "Relations:" in load(address).__doc__ and "Departs from the paper:" in load(address).__doc__
