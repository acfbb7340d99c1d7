import pytest

from espalier.formats.fields import Malformed
from espalier.formats.self_instruct import convert, detect


def test_the_only_instance_is_the_answer():
    row = {"instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}]}
    assert detect(row)
    assert convert(row) == {
        "prompt": [{"role": "user", "content": "Add.\n1 1"}],
        "completion": [{"role": "assistant", "content": "2"}],
    }


@pytest.mark.parametrize(
    ("instances", "reason"),
    [
        ([], "not exactly one instance"),
        ([{}, {}], "not exactly one instance"),
        ("x", "'instances' is not a list of objects"),
    ],
)
def test_malformed(instances, reason):
    with pytest.raises(Malformed) as caught:
        convert({"instruction": "i", "instances": instances})
    assert caught.value.reason == reason
