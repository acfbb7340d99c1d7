"""Write what the documentation repeats from the code; `--check` only says what is stale.

docs/methods.md and the page of each objective as a whole, and in other pages what stands between <!-- NAME --> and
<!-- end -->: tables of methods, the options of a recipe, and what a command prints. What a model answers depends on the
machine in its last digits, and how long it takes on the machine, so this is not checked, and only written with
`--slow`, which runs the quickstart.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # the checkout's methods, whatever is installed

import generate_objectives  # noqa: E402
import generate_ways  # noqa: E402
from generate_objectives import cell, table  # noqa: E402

from espalier import console  # noqa: E402
from espalier.cards import PACKAGE, Card, Option, options_of  # noqa: E402
from espalier.catalogue import FAMILIES, cards  # noqa: E402
from espalier.stages.recipe import load_stages  # noqa: E402

HEADER = """# Methods

Written by `make docs` from the files themselves. `espalier show NAME` prints one in full.
"""
QUICKSTART = Path("recipes", "quickstart.toml")
ROWS = "runs/quickstart/world/train/sums.jsonl"
CHECK = ("check", "--model", "sprout", "--data", ROWS)
SILENT = ("world", "index", "search")  # stages of the quickstart of which the README shows the command alone
PROGRESS = re.compile(r"^(reading documents|scoring words|(.*: )?(evaluating|sampling)) .*\n", re.MULTILINE)
RUN = [sys.executable, "-c", "import sys; from espalier.cli import main; sys.exit(main())"]


def link(paper: str) -> str:
    """A paper as a link, where it has an address."""
    kind, _, number = paper.partition(":")
    pages = {"arXiv": f"https://arxiv.org/abs/{number}", "doi": f"https://doi.org/{number}", "https": paper}
    return f"[{paper}]({pages[kind]})" if kind in pages else paper


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


def run(words: Sequence[str], folder: Path) -> str:
    """What a command prints when it is typed in a folder."""
    environment = {**os.environ, "ESPALIER_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*RUN, *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{console.command(*words)}: {done.stderr}")
    return done.stdout.replace(f"{folder.resolve()}/", "").replace(f"{ROOT}/", "")


def shown(words: Sequence[str], folder: Path) -> str:
    """A command as it is typed, with what it prints."""
    return f"```console\n$ {console.command(*words)}\n{run(words, folder).rstrip()}\n```\n"


@cache
def world() -> Path:
    """A folder in which the first two stages of the quickstart have run."""
    folder = Path(tempfile.mkdtemp())
    for name in ("world", "index"):
        run(stage(name), folder)
    return folder


def stage(name: str) -> Sequence[str]:
    """The words of a stage of the quickstart."""
    return load_stages(ROOT / QUICKSTART).stage(name).words


def check_printed() -> str:
    """What `espalier check` prints about the quickstart's rows."""
    return shown(CHECK, world())


def search_printed() -> str:
    """What `espalier ask` prints without a model."""
    return shown(stage("search"), world())


def quickstart_printed() -> str:
    """What the quickstart prints: of training what came of it, of what only prepares the commands."""
    with tempfile.TemporaryDirectory() as folder:
        printed = PROGRESS.sub("", run(["run", str(ROOT / QUICKSTART)], Path(folder)))
    first, *parts = re.split(r"^(?=\d+ of \d+  )", printed.lstrip(), flags=re.MULTILINE)
    return f"```console\n$ make quickstart\n{first}{''.join(map(shortened, parts)).rstrip()}\n```\n"


def shortened(part: str) -> str:
    """What a stage of the quickstart prints, without what the page need not show."""
    head, typed, *lines = part.splitlines(keepends=True)
    if head.split()[3] in SILENT:
        lines = ["\n"]
    if typed.startswith("$ espalier train"):
        lines = lines[next(at for at, line in enumerate(lines) if line.startswith("outcome")) :]
    return "".join([head, typed, *lines])


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"methods": methods, "check": check_printed, "search": search_printed, "hinge": hinge},
    "docs/training.md": {
        "train": partial(options, "train/options.py", "TrainOptions"),
        "render": partial(options, "recipe.py", "RenderOptions"),
    },
    "docs/data.md": {"source": partial(options, "recipe.py", "Source")},
    **generate_objectives.PARTS,
    **generate_ways.PARTS,
}
SLOW: dict[str, dict[str, Callable[[], str]]] = {"README.md": {"quickstart": quickstart_printed}}


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
    own = {ROOT / name: text for name, text in generate_objectives.pages(link).items()}
    return {ROOT / "docs" / "methods.md": methods_page(), **own, **found}


def main() -> None:
    """Write the pages, or say which are stale."""
    for page, text in pages(SLOW if "--slow" in sys.argv else PARTS).items():
        if "--check" not in sys.argv:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        elif not page.is_file() or page.read_text(encoding="utf-8") != text:
            sys.exit(f"{page.relative_to(ROOT)} is stale. Run `make docs` and commit what it writes.")


if __name__ == "__main__":
    main()
