"""The page of several models under several conditions."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from espalier.evaluation.grid import Grid, sentence
from espalier.evaluation.grid_page import SHOWN, html, marked, tables
from tests.evaluation.asked import row
from tests.evaluation.test_grid import cells, first_only, reads


class Nesting(HTMLParser):
    """Follows the elements of a page; one that is closed in the wrong place fails."""

    def __init__(self):
        super().__init__()
        self.open, self.words = [], []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(page: str) -> str:
    nesting = Nesting()
    nesting.feed(page)
    assert not nesting.open
    return " ".join(" ".join(nesting.words).split())


@pytest.fixture(scope="module")
def grid() -> Grid:
    base = cells("base", first_only, by="kind")
    tuned = cells("sft", reads, {cell.condition: cell.evaluation for cell in base}, by="kind")
    return Grid("rows.jsonl", (*base, *tuned), {"index": "kb.sqlite"})


def test_the_page_opens_with_the_sentence_and_holds_every_table(grid):
    page = html(grid)
    words = read(page)
    assert "script" not in page and "http-equiv" in page
    assert words.index(sentence(grid), 400) < words.index("exact match") < words.index("Some of the rows")
    for part in (
        "closed",
        "distractors=2",
        "n 24",
        "gained",
        "base and sft",
        "How the answers look",
        "kind: even",
        "kb.sqlite",
    ):
        assert part in words


def test_what_is_named_stands_first_and_the_rest_is_folded(grid):
    words = read(html(replace(grid, shown=("f1",))))
    rest = words.partition("Some of the rows")[2].partition("Other numbers")[2]
    assert words.startswith("F1 of sft") and 0 < rest.index("exact match") < rest.index("How the answers look")


def test_a_passage_is_shown_on_one_line_with_its_quote_marked():
    rows = [row(f"Where is {n}?", "Town", passages=[f"Old  tales.\n\n{n} is in\nTown."], gold=[0]) for n in range(2)]
    page = html(Grid("rows", tuple(cells("m", lambda prompt: "Quote: 1 is in Town.\nAnswer: Town", rows=rows))))
    assert "Old tales. <mark>1 is in Town.</mark>" in page


def test_rows_are_shown_with_what_was_quoted_marked_and_each_answer(grid):
    page = html(grid)
    assert page.count('class="sample"') == SHOWN and html(grid) == page != html(grid, seed=1)
    number = re.search(r"Where is (\d+)\?", page).group(1)
    assert f"<mark>{number} is in Town{number}.</mark>" in page
    assert "holds the answer" in page
    assert '<span class="good" dir="auto">right' in page and '<span class="bad" dir="auto">wrong' in page


def test_a_group_has_its_own_tables(grid):
    assert "n 12" in tables(grid, ["exact_match"], "odd") and "n 24" in tables(grid, ["exact_match"])
    assert tables(grid, ["perplexity"]) == ""


def test_what_stands_in_rows_is_never_markup():
    evil = '<script>alert("1")</script>'
    rows = [row(f"Where is {n}? {evil}", passages=[{"title": evil, "text": f"{evil} x"}], gold=[0]) for n in range(3)]
    found = cells(evil, lambda prompt: f"Quote: {evil} x\nAnswer: {evil}", rows=rows)
    page = html(Grid(evil, tuple(found)))
    assert "<script" not in page and "&lt;script&gt;" in page and read(page)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], "a &lt; b"),
        ([(0, 1)], "<mark>a</mark> &lt; b"),
        ([(2, 5), (0, 3)], "<mark>a &lt;</mark><mark> b</mark>"),
        ([(1, 3), (2, 3)], "a<mark> &lt;</mark> b"),
    ],
)
def test_marks_do_not_overlap(spans, expected):
    assert marked("a < b", spans) == expected
