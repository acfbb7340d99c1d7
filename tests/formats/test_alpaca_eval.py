import pytest

from espalier.formats.alpaca_eval import convert, detect
from espalier.formats.fields import Malformed

ROW = {"instruction": "i", "output_1": "one", "output_2": "two"}


@pytest.mark.parametrize(
    ("preference", "chosen", "rejected"), [(1, "one", "two"), (2.0, "two", "one"), ("2", "two", "one")]
)
def test_the_preferred_output_is_chosen(preference, chosen, rejected):
    pair = convert(ROW | {"preference": preference})
    assert pair["prompt"] == [{"role": "user", "content": "i"}]
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (chosen, rejected)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"preference": 0.0}, "tie"),
        ({"preference": 1.5}, "tie"),
        ({"preference": 3}, "'preference' is not 1 or 2"),
        ({"preference": "left"}, "'preference' is not 1 or 2"),
        ({"preference": float("nan")}, "'preference' is not 1 or 2"),
        ({}, "missing 'preference'"),
    ],
)
def test_malformed(more, reason):
    assert detect(ROW | more)
    with pytest.raises(Malformed) as caught:
        convert(ROW | more)
    assert caught.value.reason == reason
