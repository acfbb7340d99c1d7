"""Rated answers: what rows become, what they meet in a batch, and that ranks make no difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RowError
from espalier.objectives.kto import KTO
from espalier.render import Renderer
from espalier.train.unpaired import drift, mismatched, pairing
from espalier.trees.tree import Branch, Tree
from tests.tokenizers import chat_tokenizer
from tests.train.rated import rated
from tests.train.toys import branch, here, models_of, small


def render():
    return Renderer(chat_tokenizer())


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        ({"prompt": "Why?", "completion": "So.", "label": False}, {"So.": False}),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, {"So.": True, "No.": False}),
    ],
)
def test_rows_become_answers_with_labels(row, labels):
    tree = KTO().plant({**row, "weight": 0.5}, render())
    answers = [render().decode(path.ids[path.mask]) for path in tree.branches]
    assert dict(zip(answers, tree.fields["label"].values, strict=True)) == labels
    assert tree.fields["weight"].values == 0.5


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"prompt": "a", "completion": "b"}, "missing 'label'; objectives/kto needs prompt, completion, label"),
        ({"prompt": "a", "completion": "b", "label": "sports"}, "'label' is not true or false; it is 'sports'"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "chosen and rejected are identical"),
    ],
)
def test_a_row_without_a_rating_is_refused(row, sentence):
    with pytest.raises(RowError, match=sentence):
        KTO().plant(row, render())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), min_size=2, max_size=12, unique=True), st.randoms())
def test_property_pairing_takes_every_answer_once_and_never_the_own(drawn, chance):
    paths = [branch([1, prompt + 3], [answer + 3]) for prompt, answer in drawn]
    other = pairing(paths)
    assert sorted(other) == list(range(len(paths)))
    assert all(i != j for i, j in enumerate(other))
    prompts = [prompt for prompt, _ in drawn]
    if max(prompts.count(prompt) for prompt in prompts) <= len(paths) / 2:
        assert all(prompts[i] != prompts[j] for i, j in enumerate(other))
    order = list(range(len(paths)))
    chance.shuffle(order)
    again = pairing([paths[i] for i in order])
    assert {order[i]: order[j] for i, j in enumerate(again)} == dict(enumerate(other))


def test_a_prompt_meets_the_whole_answer_of_another_with_its_mask_up_to_the_context():
    one = Tree((branch([1, 2, 3], [10, 11]),))
    other = Tree((Branch(np.array([4, 20, 21, 22], np.int32), np.array([False, True, False, True])),))
    for longest, kept in ((None, 3), (5, 2)):
        found = mismatched([one, other], longest)
        assert found[0].branches[0].ids.tolist() == [1, 2, 3, *[20, 21, 22][:kept]]
        assert found[0].branches[0].mask.tolist() == [False] * 3 + [True, False, True][:kept]
        assert found[1].branches[0].ids.tolist() == [4, 10, 11]


def test_an_answer_alone_meets_none_and_has_not_drifted():
    models = models_of(KTO(), small())
    assert mismatched([rated(0)], None) == []
    assert drift([rated(0)], models, here()) == 0.0 == drift([], models, here())
