"""Imports point down: a file may import its own layer and those below it, and no method imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.catalogue import FAMILIES

ROOT = Path(__file__).parents[1]
LAYERS = (  # from the ground up; the longest name that fits a module decides, and a lone file not named is ground
    "contracts catalogue knowledge rows formats render maths seeding errors train.options",
    "models trees lm",
    "train",
    " ".join(FAMILIES),
    "recipe overrides run indexing stages opening planning estimating record starting tuning handover evaluation "
    "export audit report world advice comparison answering scoring collecting pipelines reranking",
    "api cli console serve studio doctor reviewing",
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer.split()}
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "espalier").rglob("*.py"))


def rank(module: str) -> int | None:
    """The layer of "espalier.train.options"; the package itself is at the top."""
    parts = module.split(".")[1:]
    if not parts:
        return len(LAYERS)
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    alone = 0 if len(parts) == 1 else None
    return next((RANK[name] for name in (*names, parts[0].partition("_")[0]) if name in RANK), alone)


def is_method(module: str) -> bool:
    parts = module.split(".")
    return len(parts) == 3 and parts[1] in FAMILIES


def imports(tree: ast.AST, exists: set[str]) -> Iterator[str]:
    """The modules of the package that a file imports, inside functions too; not those only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "espalier")
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "espalier":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in exists else str(node.module) for name in names)
        yield from imports(node, exists)


def module_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def wrong(module: str, source: str, exists: set[str]) -> list[str]:
    """What is wrong with the imports of a module."""
    found = []
    for other in imports(ast.parse(source), exists):
        if other != "espalier" and (rank(other) or 0) > (rank(module) or 0):
            found.append(f"{module} imports {other}, which is above it")
        if is_method(module) and is_method(other) and other != module:
            found.append(f"{module} imports the method {other}: what two methods share belongs below them")
    return found


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_point_down(file):
    exists = {module_of(path) for path in FILES}
    assert rank(module_of(file)) is not None, f"{file} is in no layer: add its folder to LAYERS"
    source = (ROOT / file).read_text(encoding="utf-8")
    relative = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative, "imports are written in full"
    assert wrong(module_of(file), source, exists) == []


EXISTS = {"espalier.objectives.dpo", "espalier.objectives.ipo", "espalier.train.loop", "espalier.cli", "espalier.train"}


@pytest.mark.parametrize(
    ("module", "source", "problem"),
    [
        ("espalier.trees.tree", "from espalier.train.loop import step", "above"),
        ("espalier.trees.tree", "from espalier import train", "above"),
        ("espalier.train.loop", "def f():\n    import espalier.cli", "above"),
        ("espalier.objectives.dpo", "from espalier.objectives.ipo import IPO", "shared|share"),
        ("espalier.objectives.dpo", "from espalier.objectives import ipo", "share"),
        ("espalier.rows", "from espalier.train.loop import step", "above"),
        ("espalier.rows", "from espalier.train.options import TrainOptions", None),
        ("espalier.objectives.dpo", "from espalier.train.loop import step", None),
        ("espalier.train.loop", "if TYPE_CHECKING:\n    from espalier.objectives.dpo import DPO", None),
        ("espalier.train.loop", "from espalier import __version__", None),
        ("espalier.cli_train", "from espalier.train import loop", None),
    ],
)
def test_the_reader_sees_what_points_up(module, source, problem):
    found = " ".join(wrong(module, source, EXISTS))
    assert (problem is None and not found) or any(word in found for word in (problem or "").split("|") if word)
