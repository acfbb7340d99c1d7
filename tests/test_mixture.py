import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RowError
from espalier.mixture import Mixture, Part, read, shares
from espalier.rows import Rows
from espalier.rows import read as read_rows


def source(name, size):
    return read_rows([{"text": f"{name}{number}"} for number in range(size)])


def texts(rows):
    return [row["text"] for row in rows]


def test_formula_shares():
    assert shares([30, 10], [None, None], [None, None]) == [30, 10]
    assert shares([3000, 10], [None, None], [20, 20]) == [20, 10]
    assert shares([30, 10], [2.0, 1.0], [None, None]) == [27, 13]  # 40 * 2/3 = 26.67, 40 * 1/3 = 13.33
    assert shares([30, 10], [3.0, None], [None, None]) == [30, 10]
    assert shares([30, 10], [0.0, 5.0], [10, None]) == [0, 20]


@given(
    st.lists(
        st.tuples(st.integers(1, 1000), st.floats(0.01, 100), st.none() | st.integers(1, 50)), min_size=1, max_size=6
    )
)
def test_property_shares_add_up_and_are_proportional(parts):
    sizes, weights, caps = zip(*parts, strict=True)
    given_rows = shares(sizes, weights, caps)
    total = sum(min(size, cap or size) for size, cap in zip(sizes, caps, strict=True))
    assert sum(given_rows) == total
    for count, weight in zip(given_rows, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1


def test_a_mixture_without_weights_gives_every_row_once():
    mixture = Mixture([Part(source("a", 30)), Part(source("b", 10))])
    found = texts(mixture)
    assert sorted(found) == sorted(texts(source("a", 30)) + texts(source("b", 10)))
    assert [text for text in found if text[0] == "b"] == texts(source("b", 10))
    assert 0 < sum(text[0] == "b" for text in found[:20]) < 10  # they take turns


def test_weights_set_the_shares_by_repeating_or_choosing_rows():
    mixture = Mixture([Part(source("a", 30), weight=1.0), Part(source("b", 10), weight=3.0)])
    counts = Counter(texts(mixture))
    assert mixture.counts == [10, 30] and len(mixture) == 40
    assert {counts[f"b{number}"] for number in range(10)} == {3}
    chosen = [int(text[1:]) for text in counts if text[0] == "a"]
    assert len(chosen) == 10 and max(chosen) >= 15  # not the first ten


def test_a_cap_limits_what_a_large_source_counts():
    mixture = Mixture([Part(source("a", 500), cap=20), Part(source("b", 10), cap=20)])
    assert mixture.counts == [20, 10]
    assert len(set(texts(mixture))) == 30


def test_the_order_follows_from_the_seed():
    def mixed(seed):
        return Mixture([Part(source("a", 40), weight=1), Part(source("b", 20), weight=1)], seed)

    first = mixed(1)
    assert texts(first) == texts(first) == texts(mixed(1)) != texts(mixed(2))


def test_every_row_of_a_large_source_is_as_likely():
    seen = Counter()
    for seed in range(300):
        seen.update(texts(Mixture([Part(source("a", 10), weight=1), Part(source("b", 1), weight=1)], seed)))
    expected = 300 * 6 / 10  # of 11 rows, 5.5 each: rounded up for the first
    assert all(abs(seen[f"a{number}"] - expected) < 5 * (300 * 0.6 * 0.4) ** 0.5 for number in range(10))


def test_what_is_dropped_is_known_before_the_rows():
    mixture = Mixture([Part(read_rows([{"text": "a"}, {"text": 5}])), Part(source("b", 1))])
    assert [drop.reason for drop in mixture.dropped] == ["'text' is not text"]
    assert mixture.detected.splitlines()[0] == "rows: plain fields (text), read as raw text; 1 rows of 1"
    assert (mixture.name, mixture.format, mixture.kind) == ("rows + rows", "plain + plain", "text")


def test_a_mixture_of_kinds_names_each():
    mixture = Mixture([Part(read_rows([{"prompt": "p", "completion": "c"}])), Part(source("b", 1))])
    assert mixture.kind == "completion + text"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one source"),
        ([{"weight": 0.0}], "at least one source with a weight above 0"),
        ([{"weight": -1.0}], "weight is -1.0; it must be a number of 0 or more"),
        ([{"weight": float("nan")}], "weight is nan"),
        ([{"cap": 0}], "cap is 0; it must be at least 1"),
    ],
)
def test_a_mixture_that_cannot_be(parts, message):
    with pytest.raises(RowError, match=message):
        Mixture([Part(source("a", 1), **part) for part in parts])


def test_read_takes_what_a_recipe_holds(tmp_path):
    for name, size in (("a", 4), ("b", 2)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"body": f"{name}{n}"}) + "\n" for n in range(size)))
    a, b = ({"path": str(tmp_path / f"{name}.jsonl"), "columns": "text=body"} for name in "ab")
    assert isinstance(read([a]), Rows)
    mixture = read([a | {"weight": 2.0, "limit": 3}, b], limit=1)
    assert isinstance(mixture, Mixture) and mixture.counts == [3, 1]
    assert texts(read([a, b], seed=3)) == texts(read([a, b], seed=3))
    with pytest.raises(RowError, match=r"no option of data named 'wieght'. Did you mean 'weight'\?"):
        read([a | {"wieght": 1.0}])
    with pytest.raises(RowError, match="has no path"):
        read([{"weight": 1.0}])
    with pytest.raises(RowError, match="there is no file"):
        read(tmp_path / "absent.jsonl")
