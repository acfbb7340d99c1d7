import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RecipeError
from espalier.tables import make, plain, toml


class Scorer(Protocol):
    def score(self, rows: list[str]) -> list[float]: ...


@dataclass(frozen=True)
class Length:
    weight: float = 1.0

    def score(self, rows: list[str]) -> list[float]:
        return [self.weight * len(row) for row in rows]


@dataclass(frozen=True)
class Range:
    low: float
    high: float = 1.0


@dataclass(frozen=True)
class Options:
    flag: bool = False
    count: int = 1
    rate: float = 0.5
    name: str = "a"
    kind: Literal["sum", "mean"] = "sum"
    limit: int | None = None
    share: int | float = 1
    names: tuple[str, ...] = ()
    betas: tuple[float, float] = (0.9, 0.999)
    words: Sequence[str] | str = "all"
    columns: Mapping[str, str] = field(default_factory=dict)
    scorer: Scorer | None = None
    length: Length | None = None
    range: Range = Range(0.0)
    cap: float | None = 2.0
    anything: Any = None


def build(table):
    assert table.pop("method") == "length"
    return make(Length, table, "rewards/length", build)


def made(**table):
    return make(Options, table, "family/method", build)


@pytest.mark.parametrize(
    ("option", "value", "converted"),
    [
        ("rate", 2, 2.0),
        ("count", 1e3, 1000),
        ("limit", "none", None),
        ("limit", 5, 5),
        ("cap", "none", None),
        ("share", 2, 2),
        ("share", 0.5, 0.5),
        ("names", ["a", "b"], ("a", "b")),
        ("betas", [0, 1], (0.0, 1.0)),
        ("words", ["a"], ["a"]),
        ("words", "some", "some"),
        ("columns", {"prompt": "question"}, {"prompt": "question"}),
        ("scorer", {"method": "length", "weight": 2}, Length(2.0)),
        ("scorer", "length", Length()),
        ("length", Length(3.0), Length(3.0)),
        ("range", {"low": 1}, Range(1.0)),
        ("anything", {"a": 1}, {"a": 1}),
    ],
)
def test_a_value_becomes_the_annotated_type(option, value, converted):
    got = getattr(made(**{option: value}), option)
    assert got == converted and type(got) is type(converted)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("flag", 1, "family/method: 'flag' must be true or false, not 1."),
        ("count", True, "family/method: 'count' must be a whole number, not True."),
        ("count", 1.5, "family/method: 'count' must be a whole number, not 1.5."),
        ("rate", "fast", "family/method: 'rate' must be a number, not 'fast'."),
        ("name", 3, "family/method: 'name' must be text, not 3."),
        ("kind", "max", "family/method: 'kind' is one of sum, mean, not 'max'."),
        ("limit", "all", "family/method: 'limit' must be a whole number, not 'all'."),
        ("share", "all", "family/method: 'share' is a whole number or a number, not 'all'."),
        ("names", 3, "family/method: 'names' must be a list, not 3."),
        ("names", [1], "family/method: 'names' must be text, not 1."),
        ("betas", [0.9], "family/method: 'betas' must be a list of 2, not [0.9]."),
        ("columns", {"prompt": 1}, "family/method: 'columns', 'prompt' must be text, not 1."),
        (
            "scorer",
            Range(0.0),
            "'scorer' must be a Scorer (it has no score), not Range(low=0.0, high=1.0).",
        ),
        ("scorer", {"method": "length", "wait": 1}, "no option of rewards/length named 'wait'."),
        ("length", 3, "family/method: 'length' must be a Length, not 3."),
        ("range", {}, "family/method: 'range' needs a value for 'low' (float)."),
        ("ratee", 1, "no option of family/method named 'ratee'. Did you mean 'rate'?"),
    ],
)
def test_a_value_that_does_not_fit_is_one_sentence(option, value, sentence):
    with pytest.raises(RecipeError) as error:
        made(**{option: value})
    assert sentence in str(error.value)


def test_a_single_text_is_a_list_of_one():
    assert made(names="q_proj").names == ("q_proj",) and made(words="all").words == "all"


def test_plain_is_the_opposite_of_make():
    options = made(names=["a"], scorer={"method": "length", "weight": 2}, cap="none", range={"low": 1})
    table = plain(options, lambda part: "length" if isinstance(part, Length) else None)
    assert table["scorer"] == {"method": "length", "weight": 2.0}
    assert table["cap"] == "none" and "limit" not in table
    assert made(**tomllib.loads(toml(table))) == options


KEYS = st.text(max_size=5)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
TABLES = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=5,
)


@given(TABLES)
def test_property_toml_reads_back_to_the_same_table(table):
    assert tomllib.loads(toml(table)) == table


def test_toml_is_written_as_a_person_would():
    table = {"train": {"learning_rate": 5e-7}, "model": "m", "data": [{"path": "a", "columns": {"prompt": "q u"}}]}
    assert toml(table) == (
        'model = "m"\n\n[train]\nlearning_rate = 5e-07\n\n[[data]]\npath = "a"\ncolumns = { prompt = "q u" }\n'
    )
