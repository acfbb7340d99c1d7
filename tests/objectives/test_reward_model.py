"""The reward model: the equation, every comparison of a prompt in one example, and the model it hands over."""

import math

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import tensor
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from espalier import tuning
from espalier.errors import ModelError, RecipeError, RowError
from espalier.models.heads import with_scalar_head
from espalier.models.load import load_model
from espalier.models.roles import Models, Role
from espalier.objectives.reward_model import RewardModel, bradley_terry_loss
from espalier.render import Renderer
from espalier.run import Run
from espalier.train import checkpoints
from espalier.train.step import optimize
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree
from tests import running
from tests.models.tiny import VOCABULARY
from tests.models_on_disk import pairs, recipe_of, save_model, write_rows
from tests.tokenizers import chat_tokenizer
from tests.train.toys import Kept, branch, here, prepared, small

EXACT = {"rtol": 1e-12, "atol": 0.0}
quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks for it


def numbers(values):
    return tensor(values, dtype=torch.float64)


def test_formula_bradley_terry():
    got = bradley_terry_loss(numbers([2.0, -1.0]), numbers([0.5, 1.0]))
    assert_close(got, numbers([math.log1p(math.exp(-1.5)), math.log1p(math.exp(2.0))]), **EXACT)


def test_formula_margin_and_center():
    # log(1 + e^-(2 - 0.5 - 1)) + 0.01 (2 + 0.5)^2
    got = bradley_terry_loss(numbers([2.0]), numbers([0.5]), margin=numbers([1.0]), center=0.01)
    assert_close(got, numbers([math.log1p(math.exp(-0.5)) + 0.01 * 6.25]), **EXACT)


def test_property_only_differences_count_without_centering():
    one, other = (bradley_terry_loss(numbers([1.0 + c]), numbers([0.3 + c])) for c in (0.0, 7.0))
    assert_close(one, other)
    assert float(bradley_terry_loss(numbers([3.0]), numbers([3.0]))) == pytest.approx(math.log(2))
    assert torch.isfinite(bradley_terry_loss(numbers([-1e4]), numbers([1e4]))).all()


def ranked(seed, ranks, *, margin=0.0, weight=1.0):
    """A random prompt with as many random completions as ranks."""
    draw = np.random.default_rng(seed)
    prompt, *targets = (draw.integers(3, VOCABULARY, draw.integers(2, 9)) for _ in range(1 + len(ranks)))
    fields = {"rank": Field([float(r) for r in ranks], "completion"), "margin": margin, "weight": weight}
    return Tree.of([branch(prompt, target) for target in targets], **fields)


def models_of(model):
    return Models(Role(Engine(with_scalar_head(model, seed=5))))


def score(classifier, path):
    """The score of one path by transformers' own forward."""
    return classifier(torch.from_numpy(path.ids).long()[None]).logits[0, 0]


def mean(values):
    return sum(values) / len(values)


LIST = [2, 1, 3, 2]  # the second is best, the first and the last are equals


@pytest.mark.parametrize("max_tokens", [None, 1, 45])
def test_equals_the_paper_written_out_and_its_gradient(max_tokens):
    trees = [ranked(0, [1, 2], margin=0.5, weight=3.0), ranked(1, LIST), ranked(2, [2, 1]), ranked(3, [1, 2, 3])]
    objective = RewardModel(center=0.01)
    models, other = models_of(small(1).double()), with_scalar_head(small(1).double(), seed=5).double()
    models.policy.inner.model.double()
    keeper = Kept(models.policy.inner)
    report = optimize(objective, models, prepared(objective, models, trees), keeper, max_tokens=max_tokens, max_norm=0)
    total, right = 0.0, []
    for tree in trees:
        rank, margin = tree.fields["rank"].values, tree.fields["margin"].values
        s = [score(other, path) for path in tree.branches]
        compared = [(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if rank[i] < rank[j]]
        losses = [torch.log1p(torch.exp(-(a - b - margin))) + 0.01 * (a + b) ** 2 for a, b in compared]
        total = total + tree.fields["weight"].values * mean(losses)
        right.append(mean([float(a > b) for a, b in compared]))
    (total / 6).backward()
    assert report["loss"] == pytest.approx(float(total.detach()) / 6, rel=1e-10)
    assert report["accuracy"] == pytest.approx(mean(right), rel=1e-10)
    gradients = {name: p.grad for name, p in other.named_parameters()}
    expected = torch.cat([gradients[n].reshape(-1) for n, _ in models.policy.inner.model.named_parameters()])
    assert_close(keeper.gradient, expected, rtol=1e-8, atol=1e-12)


def test_property_order_does_not_matter_and_a_list_is_one_example():
    models = models_of(small())
    one = ranked(1, LIST)
    turned = Tree(one.branches[::-1], {**one.fields, "rank": Field([float(r) for r in LIST[::-1]], "completion")})
    found = [float(RewardModel().loss(models, Forest.plant(trees)).terms["loss"].total.detach())
             for trees in ([one, ranked(4, [1, 2])], [ranked(4, [1, 2]), turned])]  # fmt: skip
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert RewardModel().prepare([one, turned], models, here()).counts == {"loss": 2.0}


def test_learns_an_order_and_generalizes_over_prompts():
    def tree(n):
        return Tree.of(
            [branch([1, 5 + n], [token]) for token in (30, 31, 32)],
            rank=Field([3.0, 1.0, 2.0], "completion"), margin=0.0, weight=1.0,
        )  # fmt: skip

    models = models_of(small())
    optimizer = torch.optim.AdamW(models.policy.inner.parameters(), lr=1e-2)
    for _ in range(15):
        forest = prepared(RewardModel(), models, [tree(n) for n in range(6)])
        report = optimize(RewardModel(), models, forest, optimizer)
    assert report["accuracy"] == 1.0 and report["loss"] < 0.5
    with torch.no_grad():
        low, high, middle = models.policy.scores(Forest.plant([tree(9)])).tolist()
    assert low < middle < high


def render():
    return Renderer(chat_tokenizer())


def test_rows_become_completions_with_ranks():
    tree = RewardModel(margin=True).plant({"prompt": "Why?", "chosen": "So.", "rejected": "No", "margin": 2}, render())
    assert [render().decode(path.ids[path.mask]) for path in tree.branches] == ["So.", "No"]
    assert (tree.fields["rank"].values, tree.fields["margin"].values) == ([1.0, 2.0], 2.0)
    tree = RewardModel().plant({"prompt": "a", "completions": ["b", "c", "b"], "ranks": [2, 1, 2]}, render())
    assert tree.fields["rank"].values == [2.0, 1.0, 2.0] and tree.fields["margin"].values == 0.0


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt": "a", "completion": "b"}, "missing 'chosen', 'rejected'; objectives/reward_model needs"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "identical but for their rank"),
        ({"prompt": "a", "completions": ["b", "c"], "ranks": [1]}, "differ in number"),
        ({"prompt": "a", "completions": ["b", "c"], "ranks": [1, 1]}, "all ranks are equal"),
    ],
)
def test_a_row_that_compares_nothing_is_refused(row, sentence):
    with pytest.raises(RowError, match=sentence):
        RewardModel().plant(row, render())


def test_a_margin_that_is_asked_for_must_be_there():
    with pytest.raises(RowError, match="missing 'margin', a number"):
        RewardModel(margin=True).plant({"prompt": "a", "chosen": "b", "rejected": "c"}, render())
    with pytest.raises(RecipeError, match="center must be 0 or more"):
        RewardModel(center=-1)


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_a_run_hands_over_a_model_that_plain_transformers_scores_with(adapter, quick):
    data = write_rows(quick / "pairs.jsonl", pairs(20))
    recipe = recipe_of(quick, "reward_model", data=data, adapter=adapter, learning_rate=1e-2, max_steps=4)
    run = tuning.train(recipe)
    assert run.result.name == "model"
    theirs = AutoModelForSequenceClassification.from_pretrained(run.result)
    tokenizer = AutoTokenizer.from_pretrained(run.result)
    rows = [render_of(quick).completion(row["prompt"], row["chosen"]) for row in pairs(3)]
    assert tokenizer.pad_token_id == theirs.config.pad_token_id != int(rows[0].ids[-1])
    padded = tokenizer.pad({"input_ids": [row.ids.tolist() for row in rows]}, return_tensors="pt")
    with torch.no_grad():
        batch = theirs(**padded).logits[:, 0]
        alone = torch.stack([theirs(torch.from_numpy(row.ids).long()[None]).logits[0, 0] for row in rows])
    assert_close(batch, alone, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        mine = trained(quick, run, adapter).scores(Forest.plant([Tree.of([row]) for row in rows]))
    assert_close(mine, alone, rtol=1e-5, atol=1e-5)
    assert float((alone.max() - alone.min()).abs()) > 1e-3
    with pytest.raises(ModelError, match="LlamaForSequenceClassification gives scores and writes no text"):
        load_model(str(run.result), dtype=torch.float32, device="cpu")


def render_of(folder):
    return Renderer(AutoTokenizer.from_pretrained(folder / "model"))


def trained(folder, run: Run, adapter: str | None) -> Role:
    """The policy as it was when the run's best weights were saved, put together again from its parts."""
    from espalier.catalogue import build

    model = with_scalar_head(load_model(str(folder / "model"), dtype=torch.float32, device="cpu"), seed=0)
    if adapter is not None:
        model = build({"method": f"adapters/{adapter}"}).attach(model)
        assert isinstance(model, PeftModel)
    checkpoints.load_weights(run.checkpoints / checkpoints.BEST / "weights.safetensors", model)
    return Role(Engine(model.eval()))


def test_a_pad_token_that_also_ends_rows_is_not_handed_over(quick):
    tokenizer = chat_tokenizer(bos=True, pad="<|im_end|>")
    save_model(quick / "model", pad_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"))
    tokenizer.save_pretrained(quick / "model")
    data = write_rows(quick / "pairs.jsonl", pairs(8))
    run = tuning.train(recipe_of(quick, "reward_model", data=data, max_steps=1, learning_rate=1e-2, eval_share=0))
    ids = render_of(quick).completion("Why?", "So.").ids
    config = AutoModelForSequenceClassification.from_pretrained(run.result).config
    assert config.pad_token_id == AutoTokenizer.from_pretrained(run.result).pad_token_id != int(ids[-1])
    assert AutoTokenizer.from_pretrained(quick / "model").pad_token_id == int(ids[-1])


def test_a_head_needs_a_whole_model(quick):
    first = tuning.train(recipe_of(quick, adapter="lora", out="first", max_steps=1, learning_rate=1e-2))
    data = write_rows(quick / "pairs.jsonl", pairs(8))
    with pytest.raises(RecipeError, match="objectives/reward_model puts a new head on a whole model"):
        tuning.train(recipe_of(quick, "reward_model", data=data, from_run=first.folder))
