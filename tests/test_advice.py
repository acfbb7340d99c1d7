"""What rows are said to be good for; the objectives are asked themselves."""

import json

import pytest

from espalier import advice
from espalier.advice import advise
from espalier.catalogue import addresses, load
from espalier.errors import RowError
from tests.formats.feedback import feedback


def written(folder, rows):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def thumbs(liked, disliked):
    return [{"prompt": f"p{n}", "completion": f"answer {n}", "label": n < liked} for n in range(liked + disliked)]


def test_rated_answers(tmp_path):
    found = advise(written(tmp_path, thumbs(120, 30)))
    lines = dict(found.lines)
    assert [label for label, _ in found.lines] == ["rows", "sizes", "usable by", "first", "mind"]
    assert found.first == ("sft", "kto")
    assert "150 of rows.jsonl" in lines["rows"] and "120 liked and 30 not (80 % liked)" in lines["sizes"]
    assert "only 30 disliked answers: under 100" in lines["mind"] and "120" not in lines["mind"]
    assert "120 liked and 30 disliked answers, weights" in lines["usable by"]
    assert "data.where=label=true --out runs/sft" in lines["first"] and "--from runs/sft" in lines["first"]
    assert {use.name for use in found.uses} == {"sft", "kto", "unlikelihood"}


def test_rated_answers_that_are_all_liked(tmp_path):
    found = advise(written(tmp_path, thumbs(5, 0)))
    assert found.first == ("sft",) and "kto" not in {use.name for use in found.uses}
    assert "only 0 disliked answers" in dict(found.lines)["mind"]


def test_pairs(tmp_path):
    pairs = [{"prompt": f"p{n}", "chosen": "a long answer", "rejected": "short"} for n in range(100)]
    found = advise(written(tmp_path, [*pairs, {"prompt": "p"}, {"prompt": "q"}, {"prompt": "r"}]))
    lines = dict(found.lines)
    assert found.first == ("dpo",) and "3 dropped" in lines["rows"]
    assert lines["first"].endswith("Next: " + advice.FIRST["preference"].then + ".")
    assert "length may be what is learned" in lines["mind"] and "of the rows cannot be read" in lines["mind"]
    assert {use.name for use in found.uses} >= {"dpo", "orpo", "kto", "reward_model", "sft"}
    assert {use.name for use in found.uses if use.reference} >= {"dpo", "kto"}
    assert "orpo" in lines["usable by"].partition("without a reference model: ")[2]


@pytest.mark.parametrize(
    ("row", "first", "usable"),
    [
        ({"prompt": "p", "completions": ["a", "b"], "ranks": [1, 2]}, ("reward_model",), {"reward_model"}),
        ({"prompt": "p", "completion": "c"}, ("sft",), None),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}, ("sft",), None),
        ({"text": "t"}, ("sft",), {"sft"}),
        ({"question": "q", "answers": ["a"]}, (), set()),
        ({"prompt": "p"}, (), set()),
    ],
)
def test_other_rows(row, first, usable, tmp_path):
    found = advise(written(tmp_path, [row | {"id": n} for n in range(3)]))
    assert found.first == first
    assert usable is None or {use.name for use in found.uses} == usable
    assert "only 3 rows" in dict(found.lines)["mind"]


def test_columns_are_mapped_and_named_in_the_command(tmp_path):
    path = written(tmp_path, [{"q": "p", "a": "c"}])
    assert "--columns prompt=q,completion=a" in dict(advise(path, columns="prompt=q,completion=a").lines)["first"]
    with pytest.raises(RowError, match="no known format"):
        advise(path)


def test_an_export_of_open_webui(tmp_path):
    path = tmp_path / "feedback.json"
    path.write_text(json.dumps([feedback("b", 1), feedback("c", -1), feedback("d", 3)]), encoding="utf-8")
    found = advise(str(path))
    assert found.first == ("sft", "kto") and "1 dropped (the rating is not 1 or -1: 1)" in dict(found.lines)["rows"]


def test_what_is_said_first_exists():
    named = {name for first in (*advice.FIRST.values(), advice.IMITATE) for name, _ in first.steps}
    assert {f"objectives/{name}" for name in named} <= set(addresses("objectives"))


def test_whether_there_is_a_reference_is_what_the_objectives_say(tmp_path):
    found = advise(written(tmp_path, [{"prompt": "p", "chosen": "a", "rejected": "b"}]))
    assert all(use.reference == hasattr(load(use.address), "reference") for use in found.uses)
