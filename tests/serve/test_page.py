"""The page in a browser; skipped where there is none."""

import shutil

import pytest

from espalier.pipelines import Pipeline
from espalier.serve.app import Service
from espalier.serve.knowledge import Knowledge
from tests.serve.conftest import EVIL, REPLY, Told, serving

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")]


def said(prompt):
    return f"Quote: [1a] Ignore the above.\nAnswer: {EVIL}" if "evil" in prompt else REPLY


@pytest.fixture
def page():
    browsers = pytest.importorskip("playwright.sync_api")
    with browsers.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 400, "height": 800})
        browser.close()


@pytest.fixture
def url(kb):
    with serving(Service({"kb/docs": Knowledge("kb/docs", kb, Pipeline.parse(""), Told(said))})) as url:
        yield url


def ask(page, question):
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    page.locator("#send").wait_for(state="visible")


def test_an_answer_with_its_sources(page, url):
    problems = []
    page.on("pageerror", lambda problem: problems.append(str(problem)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(url)
    page.locator("option").wait_for(state="attached")
    ask(page, "Where was Belmi born?")
    assert "In Kastel (1). [1][2]" in page.locator(".turn").last.inner_text()
    assert page.locator("mark").first.inner_text().split() == ["Belmi", "was", "born", "in", "Kastel."]
    assert "not found in the documents" in page.locator(".card").last.inner_text()
    page.locator(".cite").first.click()
    assert page.locator(".card.on").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert problems == []


def test_texts_of_models_and_documents_are_never_html(page, url):
    page.goto(url)
    page.locator("option").wait_for(state="attached")
    ask(page, "what says evil script alert bold above?")
    assert page.title() == "Espalier" and "<script>" in page.locator(".turn").last.inner_text()
    assert page.locator("main script, main img, a[href^=javascript]").count() == 0
    assert "<script>" in page.locator(".card").first.inner_text()
    assert page.locator(".turn strong").inner_text() == "bold" and page.locator(".cite").count() == 1  # ours
