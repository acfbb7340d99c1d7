import pytest

from espalier.formats.alpaca import convert, detect
from espalier.formats.fields import Malformed


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def test_instruction_and_input_are_joined_by_a_newline():
    row = {"instruction": "Translate.", "input": "hello", "output": "bonjour"}
    assert detect(row)
    assert convert(row) == {"prompt": [user("Translate.\nhello")], "completion": [assistant("bonjour")]}


@pytest.mark.parametrize("nothing", [{}, {"input": ""}, {"input": None}])
def test_an_input_may_be_empty_or_absent(nothing):
    assert convert({"instruction": "Go.", "output": "Gone."} | nothing)["prompt"] == [user("Go.")]


def test_system_and_history_come_before_the_instruction():
    row = {"instruction": "3?", "output": "c", "system": "Be brief.", "history": [["1?", "a"], ["2?", "b"]]}
    system = {"role": "system", "content": "Be brief."}
    assert convert(row)["prompt"] == [system, user("1?"), assistant("a"), user("2?"), assistant("b"), user("3?")]


def test_a_pair_and_a_rated_answer():
    pair = {"instruction": "i", "chosen": "good", "rejected": "bad"}
    assert detect(pair) and not detect(pair | {"prompt": "p"})
    assert convert(pair) == {"prompt": [user("i")], "chosen": [assistant("good")], "rejected": [assistant("bad")]}
    assert convert({"instruction": "i", "output": "o", "label": False})["label"] is False


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"instruction": "i"}, "missing 'output'"),
        ({"output": "o"}, "missing 'instruction'"),
        ({"instruction": "i", "output": 3}, "'output' is not text"),
        ({"instruction": "i", "output": "o", "input": ["x"]}, "'input' is not text"),
        ({"instruction": "i", "output": "o", "history": [["1?"]]}, "bad 'history'"),
        ({"instruction": "i", "output": "o", "history": 5}, "bad 'history'"),
        ({"instruction": "i", "chosen": "good"}, "missing 'rejected'"),
    ],
)
def test_malformed(row, reason):
    with pytest.raises(Malformed) as caught:
        convert(row)
    assert caught.value.reason == reason
