import pytest

from espalier.errors import RowError
from espalier.rows import read

RATED = [{"prompt": "p", "completion": str(n), "label": n % 3 == 0, "model": f"m{n % 2}"} for n in range(6)]


def test_only_rows_with_a_value_are_read_and_the_others_are_not_dropped():
    rows = read(RATED, where="label=true")
    assert [row["completion"] for row in rows] == ["0", "3"]
    assert not rows.dropped and rows.left_out == {"not label=true": 4}
    assert rows.detected.endswith("4 left out: not label=true")


def test_several_values_all_hold_and_a_limit_counts_what_is_kept():
    assert [row["completion"] for row in read(RATED, where={"label": "false", "model": "m1"})] == ["1", "5"]
    assert [row["completion"] for row in read(RATED, where="label=false", limit=2)] == ["1", "2"]


def test_a_value_of_the_canonical_field():
    rows = read([{"q": "p", "a": "c", "thumb": "1"}, {"q": "p", "a": "d", "thumb": "0"}], where="label=true",
                columns="prompt=q,completion=a,label=thumb")  # fmt: skip
    assert [row["completion"] for row in rows] == ["c"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lable=true", "no column named 'lable'. Did you mean 'label'?"),
        ("label=yes", "no row is what was asked for; 6 are left out: not label=yes."),
        ("label", "write field=value"),
        ("label=true,label=false", "each field once"),
    ],
)
def test_what_leaves_nothing(where, message):
    with pytest.raises(RowError) as caught:
        list(read(RATED, where=where))
    assert message in str(caught.value)
