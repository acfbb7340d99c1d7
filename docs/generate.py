"""Write what the documentation repeats from the code; `--check` only says what is stale.

docs/methods.md as a whole, and in other pages what stands between <!-- NAME --> and <!-- end -->: the table of methods,
the options of a recipe, and what a command prints. What `espalier evaluate` prints depends on the machine in its last
digits, so it is not checked, and only written with `--slow`, which trains for two minutes.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]  # the checkout's methods, whatever is installed

import world  # noqa: E402

from espalier.cards import PACKAGE, Card, Option, options_of  # noqa: E402
from espalier.catalogue import FAMILIES, cards  # noqa: E402

HEADER = """# Methods

Written by `make docs` from the files themselves. `espalier show NAME` prints one in full.
"""
WORLD = Path("runs", "quickstart")
CHECK = f"espalier check --model {WORLD}/model --data {WORLD}/sft.jsonl".split()
EVALUATE = f"espalier evaluate {WORLD}/dpo --against base --data {WORLD}/new_dpo.jsonl --max-tokens 48".split()
RUN = [sys.executable, "-c", "import sys; from espalier.cli import main; sys.exit(main())"]


def cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return text.replace("|", "\\|")


def link(paper: str) -> str:
    """A paper as a link, where it has an address."""
    kind, _, number = paper.partition(":")
    pages = {"arXiv": f"https://arxiv.org/abs/{number}", "doi": f"https://doi.org/{number}", "https": paper}
    return f"[{paper}]({pages[kind]})" if kind in pages else paper


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


def methods_page() -> str:
    """Every method with its options, a table a family."""
    page = HEADER
    for family, found in {family: cards(family) for family in FAMILIES}.items():
        if found:
            page += f"\n## {family}\n\n" + table(
                ["address", "what it does", "paper", "options"], list(map(method, found))
            )
    return page


def method(card: Card) -> list[str]:
    """One method's row, as seen from docs/."""
    options = ", ".join(f"`{option.name}`" for option in card.options)
    return [f"[`{card.address}`](../espalier/{card.address}.py)", cell(card.title), link(card.paper), options]


def methods() -> str:
    """Every method in one table, as seen from the README."""
    rows = [[f"[`{c.address}`](espalier/{c.address}.py)", cell(c.title), link(c.paper)] for c in cards()]
    return table(["address", "what it does", "paper"], rows)


def options(file: str, name: str) -> str:
    """The options of a class in a file, with their comments."""
    source = (PACKAGE / file).read_text(encoding="utf-8")
    tree = ast.parse(source)
    node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return table(["option", "type", "default", "meaning"], [row(o) for o in options_of(node, tree, source).values()])


def row(option: Option) -> list[str]:
    """One option's row."""
    default = "required" if option.default is None else f"`{option.default}`"
    return [f"`{option.name}`", cell(option.type), default, cell(option.comment)]


def hinge() -> str:
    """The example of a method, whole."""
    source = (ROOT / "examples" / "hinge.py").read_text(encoding="utf-8")
    return f"```py\n{source}```\n"


def printed(command: list[str], folder: Path) -> str:
    """A command as it is typed in a folder, with what it prints."""
    environment = {**os.environ, "ESPALIER_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*RUN, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return f"```console\n$ {' '.join(command)}\n{done.stdout.replace(f'{folder.resolve()}/', '').rstrip()}\n```\n"


def check_printed() -> str:
    """What `espalier check` prints about the quickstart's rows."""
    with tempfile.TemporaryDirectory() as folder:
        world.make(Path(folder) / WORLD)
        return printed(CHECK, Path(folder))


def evaluate_printed() -> str:
    """What `espalier evaluate` prints about what the quickstart has trained."""
    with tempfile.TemporaryDirectory() as folder:
        script = [sys.executable, str(ROOT / "examples" / "quickstart.py")]
        subprocess.run(script, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
        return re.sub(r"^(evaluating|sampling) .*\n", "", printed(EVALUATE, Path(folder)), flags=re.MULTILINE)


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"methods": methods, "check": check_printed, "hinge": hinge},
    "docs/training.md": {
        "train": partial(options, "train/options.py", "TrainOptions"),
        "render": partial(options, "recipe.py", "RenderOptions"),
    },
    "docs/data.md": {"source": partial(options, "recipe.py", "Source")},
}
SLOW: dict[str, dict[str, Callable[[], str]]] = {"README.md": {"evaluate": evaluate_printed}}


def filled(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """A page with its parts written anew.

    Raises:
        ValueError: the page has no place for one of them.
    """
    for name, write in parts.items():
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(start)
        if not found or end not in rest:
            raise ValueError(f"no <!-- {name} --> ... <!-- end -->")
        text = before + start + write() + end + rest.partition(end)[2]
    return text


def pages(parts: dict[str, dict[str, Callable[[], str]]]) -> dict[Path, str]:
    """Every page that is written in whole or in part, as it should be."""
    found = {ROOT / name: filled((ROOT / name).read_text(encoding="utf-8"), inner) for name, inner in parts.items()}
    return {ROOT / "docs" / "methods.md": methods_page(), **found}


def main() -> None:
    """Write the pages, or say which are stale."""
    for page, text in pages(SLOW if "--slow" in sys.argv else PARTS).items():
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            sys.exit(f"{page.relative_to(ROOT)} is stale. Run `make docs` and commit what it writes.")


if __name__ == "__main__":
    main()
