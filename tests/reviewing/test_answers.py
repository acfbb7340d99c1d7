"""Where two answers come from: models, and files in several forms."""

import json

import pytest

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.lm.scripted import Scripted
from espalier.reviewing.answers import Both, asking, is_file, key_of, written


def save(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_become_prompts(tmp_path):
    talk = [{"role": "user", "content": "hi"}]
    kept = asking(save(tmp_path / "a.jsonl", {"messages": [*talk, {"role": "assistant", "content": "yes"}]}))
    assert kept == [{"prompt": talk}]
    [asked] = asking(save(tmp_path / "q.jsonl", {"question": "Who?", "answers": ["A."], "passages": ["It was A."]}))
    assert "[1a] It was A." in asked["prompt"] and asked["prompt"].endswith("Question: Who?")
    with pytest.raises(RowError, match="missing 'prompt'"):
        asking(save(tmp_path / "t.jsonl", {"text": "x"}))


def test_answers_are_found_by_what_was_asked(tmp_path):
    pairs = save(tmp_path / "a.jsonl", {"prompt": "p", "completion": "one"}, {"prompt": "p", "completion": "two"})
    assert written(pairs) == {key_of("p"): "one"} and is_file(pairs) and not is_file(str(tmp_path))
    asked = [{"role": "user", "content": "p"}]
    talk = save(tmp_path / "b.jsonl", {"messages": [*asked, {"role": "assistant", "content": "three"}]})
    assert written(talk)[key_of("p")] == "three"
    known = save(tmp_path / "c.jsonl", {"question": "Who?", "answers": ["A", "B"]})
    assert written(known)[key_of("Who?")] == "A"
    with pytest.raises(RowError, match="holds no answers"):
        written(save(tmp_path / "d.jsonl", {"prompt": "p"}))


def test_models_and_files_answer_side_by_side():
    rows = [Row({"prompt": "p"}, "row 1"), Row({"prompt": "q"}, "row 2"), Row({"prompt": "r"}, "row 3")]
    lm = Scripted("one", "two", " ")
    found = Both((lm, {key_of("p"): "other", key_of("r"): "x"}), max_tokens=9).curate(rows)
    assert list(found) == [{"prompt": "p", "answers": ["one", "other"]}]
    assert [lost.reason for lost in found.dropped] == ["no answer of B in its file", "an empty answer"]
    assert lm.calls[0].max_tokens == 9
