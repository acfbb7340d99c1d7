import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.formats import READERS, fitting
from espalier.formats.fields import Malformed
from tests.formats.feedback import feedback

EXAMPLES = {
    "open_webui": feedback("b", 1),
    "open_webui_pairs": feedback("b", 1, annotations={"c": -1}),
    "hh": {"chosen": "\n\nHuman: hi\n\nAssistant: yes", "rejected": "\n\nHuman: hi\n\nAssistant: no"},
    "sharegpt": {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]},
    "alpaca_eval": {"instruction": "i", "output_1": "a", "output_2": "b", "preference": 2},
    "self_instruct": {"instruction": "i", "instances": [{"input": "", "output": "o"}]},
    "alpaca": {"instruction": "i", "input": "", "output": "o"},
    "trl": {"prompt": "p", "completion": "c"},
    "messages": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]},
    "questions": {"question": "q", "answers": ["a"]},
    "plain": {"text": "t"},
}

names = sorted({name for row in EXAMPLES.values() for name in row} | {"label", "system", "history", "tools", "prompt"})
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("\n\nHuman: a\n\nAssistant:"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "from", "content", "value", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", READERS)
def test_every_format_is_found_by_its_example(name):
    assert name in fitting([EXAMPLES[name]])[:2]
    assert READERS[name].convert(EXAMPLES[name])


def test_the_more_specific_format_comes_first():
    assert fitting([EXAMPLES["hh"]]) == ["hh", "trl"]
    assert fitting([EXAMPLES["open_webui_pairs"]]) == ["open_webui", "open_webui_pairs"]
    assert fitting([EXAMPLES["alpaca"] | EXAMPLES["plain"]]) == ["alpaca", "plain"]
    pair = {"prompt": "p", "chosen": [], "rejected": [], "messages": []}
    assert fitting([pair]) == ["trl", "messages"]


def test_columns_named_by_the_user_prefer_the_readers_of_canonical_fields():
    row = EXAMPLES["alpaca"] | EXAMPLES["trl"]
    assert fitting([row]) == ["alpaca", "trl"]
    assert fitting([row], mapped=True) == ["trl", "alpaca"]


def test_a_few_incomplete_rows_do_not_change_the_format():
    text_only = {"text": "t"}
    assert fitting([EXAMPLES["alpaca"] | text_only] * 8 + [text_only] * 2)[0] == "alpaca"
    assert fitting([EXAMPLES["alpaca"] | text_only] * 2 + [text_only] * 8)[0] == "plain"


def test_nothing_fits():
    assert fitting([{"question": "q", "reply": "a"}]) == fitting([]) == []


@pytest.mark.parametrize("name", READERS)
@given(row=st.dictionaries(st.sampled_from(names), values))
def test_property_any_row_is_converted_or_malformed(name, row):
    present = {field: value for field, value in row.items() if value is not None}
    READERS[name].detect(present)
    try:
        converted = READERS[name].convert(present)
    except Malformed as problem:
        assert problem.reason
    else:
        assert converted
