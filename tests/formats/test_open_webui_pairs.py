from espalier.formats.open_webui_pairs import ALONE, convert, detect
from espalier.rows import read
from tests.formats.feedback import feedback


def pairs(*records):
    rows = read(records, format="open_webui_pairs")
    return [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows], rows


def test_an_earlier_rating_in_the_conversation_makes_a_pair():
    record = feedback("c", -1, annotations={"b": 1, "d": -1})
    assert detect(record) and not detect(feedback("c", -1)) and not detect({"data": {}, "meta": {}, "snapshot": {}})
    assert convert(record) == {
        "prompt": [{"role": "user", "content": "Hi?"}],
        "chosen": [{"role": "assistant", "content": "Yes."}],
        "rejected": [{"role": "assistant", "content": "No."}],
    }


def test_ratings_of_other_records_make_pairs_each_once():
    found, rows = pairs(feedback("b", 1), feedback("c", -1), feedback("d", -1), feedback("f", 1))
    assert found == [("Yes.", "No."), ("Yes.", "Perhaps.")]
    assert rows.kind == "preference" and not rows.dropped
    assert rows.left_out == {ALONE: 1} and f"1 left out: {ALONE}" in rows.detected


def test_what_was_rated_anew_counts_as_it_is_now():
    assert pairs(feedback("b", 1), feedback("c", -1, annotations={"b": -1}))[0] == [("Yes.", "No.")]


def test_a_record_that_cannot_be_read_is_dropped():
    odd = feedback("c", -1)
    odd["snapshot"] = {}
    found, rows = pairs(feedback("b", 1), feedback("c", -1), odd, "x")
    assert found == [("Yes.", "No.")]
    assert [lost.reason for lost in rows.dropped] == ["no conversation", "not an object"]
