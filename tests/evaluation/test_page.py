"""The parts of a page."""

from espalier.evaluation.page import facts, folded, page, table, text

EVIL = '<script>alert("1")</script>'


def test_a_text_is_never_markup():
    assert "<script" not in text(EVIL) + facts([(EVIL, EVIL)]) + folded(EVIL, "x") + page(EVIL)


def test_what_is_empty_is_left_out():
    assert folded("Curves", "") == "" and table([("a", "")], []) == ""
    assert "thead" not in table([("", "")], [["x"]])


def test_a_page_allows_neither_scripts_nor_the_network():
    whole = page("t", "<p>x</p>", "")
    assert "default-src 'none'; style-src 'unsafe-inline'" in whole
    assert whole.startswith("<!doctype html>") and "prefers-color-scheme: dark" in whole
