"""Write docs/methods.md, the table of methods, from the methods' own files; `--check` only says whether it is stale."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the checkout's methods, whatever is installed

from espalier.cards import Card  # noqa: E402
from espalier.catalogue import FAMILIES, cards  # noqa: E402

PAGE = ROOT / "docs" / "methods.md"
HEADER = """# Methods

Written by `make docs` from the files themselves. `espalier show NAME` prints one in full.
"""


def cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return text.replace("|", "\\|")


def link(paper: str) -> str:
    """A paper as a link, where it has an address."""
    kind, _, number = paper.partition(":")
    pages = {"arXiv": f"https://arxiv.org/abs/{number}", "doi": f"https://doi.org/{number}", "https": paper}
    return f"[{paper}]({pages[kind]})" if kind in pages else paper


def section(family: str, found: list[Card]) -> str:
    """One family's table."""
    rows = [
        f"| [`{card.address}`](../espalier/{card.address}.py) | {cell(card.title)} | {link(card.paper)} "
        f"| {', '.join(f'`{option.name}`' for option in card.options)} |"
        for card in found
    ]
    return "\n".join(
        [f"\n## {family}\n", "| address | what it does | paper | options |", "|---|---|---|---|", *rows, ""]
    )


def page() -> str:
    """The whole page."""
    by_family = {family: cards(family) for family in FAMILIES}
    return HEADER + "".join(section(family, found) for family, found in by_family.items() if found)


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
            sys.exit("docs/methods.md is stale. Run `make docs` and commit what it writes.")
    else:
        PAGE.write_text(page(), encoding="utf-8")
