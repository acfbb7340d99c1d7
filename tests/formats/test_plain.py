import pytest

from espalier.formats.fields import Malformed
from espalier.formats.plain import convert, detect


def test_a_text_or_a_prompt():
    for row in ({"text": "t"}, {"prompt": "p"}, {"prompt": [{"role": "user", "content": "p"}]}):
        assert detect(row)
        assert convert(row) == row
    assert convert({"text": "t", "prompt": "p"}) == {"text": "t"}


def test_a_prompt_with_an_answer_is_another_format():
    assert not detect({"prompt": "p", "completion": "c"})


def test_malformed():
    with pytest.raises(Malformed, match="missing 'text'"):
        convert({})
    with pytest.raises(Malformed, match="'prompt' is not text"):
        convert({"prompt": 3})
