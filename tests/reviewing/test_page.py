"""The pages in a browser; skipped where there is none."""

import shutil

import pytest

from espalier.contracts import Row
from espalier.reviewing.ballot import Ballot
from espalier.reviewing.questions import Questions
from tests.reviewing.conftest import EVIL, lines, serving

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")]


@pytest.fixture
def page():
    browsers = pytest.importorskip("playwright.sync_api")
    with browsers.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 400, "height": 800})
        problems = []
        found.on("pageerror", lambda problem: problems.append(str(problem)))
        found.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        yield found
        assert found.evaluate("document.documentElement.scrollWidth") <= 400
        assert problems == [] and found.locator("main img, main script, main b").count() == 0
        browser.close()


def test_questions_are_looked_through_by_keyboard(page, file):
    with serving(Questions(file)) as url:
        page.goto(url)
        page.locator("#question").get_by_text("Question 0?").wait_for()
        assert EVIL in page.locator("#question").inner_text() and page.title() == "Questions in questions.jsonl"
        assert page.locator("#quote").inner_text() == "Two minutes are enough."
        page.keyboard.press("a")
        page.locator("#question").get_by_text("Question 1?").wait_for()
        page.keyboard.press("r")
        page.locator("#question").get_by_text("Question 2?").wait_for()
        page.keyboard.press("e")
        page.locator("#typed-answers").fill("2\ntwo minutes")
        page.keyboard.press("Control+Enter")
        page.get_by_text("3 of 3 looked at").wait_for()
        page.keyboard.press("k")
        page.locator("#review").get_by_text("refused").wait_for()
    assert [row["review"] for row in lines(file)] == ["accepted", "edited"]
    assert lines(file)[1]["answers"] == ["2", "two minutes"]


def test_answers_are_voted_on_by_keyboard(page, tmp_path):
    rows = [Row(prompt=f"p{n} {EVIL}", answers=[f"one {EVIL}", "two"]) for n in range(3)]
    desk = Ballot(tmp_path / "votes.jsonl", ("A", "B"), rows, {})
    with serving(desk) as url:
        page.goto(url)
        page.locator("#prompt").get_by_text("p0").wait_for()
        for key, following in (("1", "p1"), ("2", "p2"), ("u", "p1"), ("0", "p2")):
            page.keyboard.press(key)
            page.locator("#prompt").get_by_text(following).wait_for()
        page.keyboard.press("w")
        page.locator("#result").get_by_text("ties: 1").wait_for()
        page.keyboard.press("1")
        page.get_by_text("3 of 3 voted on").wait_for()
    assert [row["vote"] for row in desk.rows] == ["left", "tie", "left"]
