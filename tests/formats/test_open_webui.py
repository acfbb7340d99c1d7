import json

import pytest

from espalier.formats.fields import Malformed
from espalier.formats.open_webui import convert, detect
from espalier.rows import read
from tests.formats.feedback import feedback

USER, YES = {"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}


def history(record):
    return record["snapshot"]["chat"]["chat"]["history"]["messages"]


def test_a_rated_answer_without_its_reasoning_and_without_the_user():
    record = feedback("b", 1)
    assert detect(record)
    assert convert(record) == {"prompt": [USER], "completion": [YES], "label": True, "chat": "chat 1", "model": "small"}


def test_the_prompt_is_what_leads_to_the_rated_message():
    found = convert(feedback("f", -1))
    assert found["prompt"] == [USER, YES, {"role": "user", "content": "Why?"}]
    assert found["completion"] == [{"role": "assistant", "content": "Because."}] and found["label"] is False


def test_the_conversation_has_a_system_message_and_may_stand_one_level_higher():
    record = feedback("b", "1")
    record["snapshot"]["chat"] = {**record["snapshot"]["chat"]["chat"], "params": {"system": "Be kind."}}
    assert convert(record)["prompt"] == [{"role": "system", "content": "Be kind."}, USER]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r["data"].update(rating=None), "not rated"),
        (lambda r: r["data"].update(rating="good"), "the rating is not 1 or -1"),
        (lambda r: r["data"].update(rating=0), "the rating is not 1 or -1"),
        (lambda r: r["meta"].pop("message_id"), "no message is named"),
        (lambda r: r["meta"].update(message_id="z"), "a message is not in the conversation"),
        (lambda r: r["meta"].update(message_id="a"), "'the conversation' is not an answer"),
        (lambda r: r.update(snapshot=None), "no conversation"),
        (lambda r: r["snapshot"].update(chat=[]), "no conversation"),
        (lambda r: history(r).pop("a"), "a message is not in the conversation"),
        (lambda r: history(r)["a"].update(parentId="b"), "the messages go in a circle"),
        (lambda r: history(r)["b"].update(content=" "), "a message is empty"),
        (lambda r: history(r)["b"].update(error={"content": "timeout"}), "a message is an error"),
        (lambda r: history(r)["b"].update(content=None), "a message without content"),
        (lambda r: history(r)["b"].update(role="robot"), "unknown role"),
    ],
)
def test_malformed(change, reason):
    record = feedback("b", 1)
    change(record)
    with pytest.raises(Malformed) as caught:
        convert(record)
    assert caught.value.reason == reason


def test_an_export_is_read_and_what_is_odd_is_counted(tmp_path):
    records = [feedback("b", 1), feedback("c", -1), feedback("d", None), feedback("d", 3), feedback("z", 1)]
    (tmp_path / "feedback.json").write_text(json.dumps(records), encoding="utf-8")
    rows = read(tmp_path / "feedback.json")
    assert [row["label"] for row in rows] == [True, False]
    assert (rows.format, rows.kind) == ("open_webui", "unpaired")
    assert [lost.reason for lost in rows.dropped] == [
        "the rating is not 1 or -1",
        "a message is not in the conversation",
    ]
    assert rows.left_out == {"not rated": 1}
    assert "Open WebUI feedback" in rows.detected and not any("Kim" in str(row) for row in rows)
