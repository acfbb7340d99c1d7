"""Sources: numbers and links are ours alone."""

import re

from espalier.contracts import Answer, Citation, Hit
from espalier.serve.sources import link, plain, signature, table, tail, unmarked

HIT = Hit("a b.pdf", 2.0, "She was born in Kastel.", "Title](javascript:alert(1)) <b>", start=10, place="page 3")
ANSWER = Answer("Kastel", (Citation("born in Kastel", "a b.pdf", 18, 32, True), Citation("[7] she <i>")), hits=(HIT,))


def test_the_table_knows_title_number_and_passage():
    found = table(ANSWER, "kb/docs")
    first, second = found["citations"]
    assert first["number"] == 1 and first["title"] == HIT.title and first["index"] == "kb/docs"
    assert not second["verified"] and second["title"] == ""
    [passage] = found["passages"]
    assert passage["end"] == 33 and passage["place"] == "page 3" and "parts" not in passage


def test_the_list_under_an_answer_has_no_link_but_ours():
    text = tail(table(ANSWER, "kb/docs")["citations"], "http://localhost:1/", "")
    assert text.startswith(
        " [1][2]\n\nSources:\n\n1. [Title\\]\\(javascript:alert\\(1\\)\\) \\<b\\>](http://localhost:1/source?"
    )
    assert "\n2. not found in the documents: \\[7\\] she \\<i\\>" in text
    assert re.findall(r"(?<!\\)\]\(([a-z]+)", text) == ["http"]
    assert tail([], "http://localhost:1/", "") == ""


def test_a_link_leads_to_the_place_and_is_signed_where_there_is_a_key():
    where = {"index": "kb/docs", "document": "a &b.md", "start": 1, "end": 2}
    assert link(where, "http://h/", "") == "http://h/source?index=kb%2Fdocs&document=a+%26b.md&start=1&end=2"
    texts = {name: str(value) for name, value in where.items()}
    assert link(where, "http://h/", "key").endswith(f"&sign={signature(texts, 'key')}")
    assert signature(texts, "key") != signature({**texts, "end": "3"}, "key") != signature(texts, "other")


def test_marks_of_others_lose_their_brackets_and_texts_stay_on_a_line():
    assert unmarked("so [1][2a] it [b] is [12]") == "so (1)(2a) it [b] is (12)"
    assert plain("a\n\u202e*b*\x1b[0m") == "a \\*b\\* \\[0m" and len(plain("x" * 500)) == 123
