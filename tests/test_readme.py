"""The documentation keeps up with the code: what is generated is fresh, links lead somewhere, blocks are run by CI."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOWER = ("check", "search")  # parts that CI compares by itself
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def load(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def generate(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load(ROOT / "docs" / "generate.py")


def test_what_is_generated_is_fresh(generate):
    quick = {page: {n: w for n, w in parts.items() if n not in SLOWER} for page, parts in generate.PARTS.items()}
    for page, text in generate.pages(quick).items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name} is stale: make docs"


def test_a_page_without_the_place_is_refused(generate):
    assert generate.filled("a\n<!-- x -->\nold\n<!-- end -->\nb", {"x": lambda: "new\n"}) == (
        "a\n<!-- x -->\nnew\n<!-- end -->\nb"
    )
    with pytest.raises(ValueError, match="no <!-- y -->"):
        generate.filled("a", {"y": lambda: ""})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_blocks_that_ci_runs_are_found():
    readme = load(ROOT / ".ci" / "readme.py")
    found = readme.blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [language for language, _ in found] == ["bash", "bash", "bash", "python", "bash", "bash", "bash"]
    assert found[0] == ("bash", "make quickstart")
    assert not any("make test" in block for _, block in found)
    assert readme.blocks("```console\n$ rm -rf /\n```\n") == []
