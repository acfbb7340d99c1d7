"""What the pages of the objectives repeat from the code: a page for each, and the tables by the rows that one has."""

import ast
import inspect
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from espalier import console
from espalier.advice import FIRST, IMITATE, Characters, First, advise
from espalier.cards import PACKAGE, Card, Preset, Setting
from espalier.catalogue import build, cards, load
from espalier.contracts import Copy, Row
from espalier.errors import RowError

FOLDER = Path("docs", "objectives")
MEASURED = "objectives_measured.md"
SECTIONS = re.compile(r"^(Inputs|Relations|Departs from the paper):", re.MULTILINE)
KINDS: dict[str, tuple[str, First, Row]] = {
    "pairs": ("two answers, one better", FIRST["preference"], Row(prompt="p", chosen="a", rejected="b")),
    "thumbs": ("answers liked or disliked", FIRST["unpaired"], Row(prompt="p", completion="a", label=True)),
    "lists": ("answers that are ranked", FIRST["ranked"], Row(prompt="p", completions=["a", "b"], ranks=[1, 2])),
    "answers": ("good answers alone", IMITATE, Row(prompt="p", completion="a")),
}  # fmt: skip


def cell(text: str) -> str:
    """Text that cannot end a cell of a table."""
    return text.replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


@cache
def kinds(address: str) -> list[str]:
    """The kinds of rows that an objective takes as they are: it is asked."""
    return [kind for kind, (_, _, row) in KINDS.items() if _takes(address, row)]


def _takes(address: str, row: Row) -> bool:
    try:
        build({"method": address}).plant(row, Characters())
    except RowError:
        return False
    return True


def own_kind(address: str) -> str:
    """The kind of rows an objective was made for."""
    needs = load(address).needs
    return "pairs" if "chosen" in needs else "thumbs" if needs else "answers"


def short(card: Card) -> str:
    """A card's short name."""
    return card.address.partition("/")[2]


def loss(card: Card) -> str:
    """The loss in one line: what its formula says of itself."""
    return _formula(card).partition("\n\n")[0].replace("\n", " ")


def terms(card: Card) -> list[str]:
    """What the formula is given, in the words of its docstring."""
    given = _formula(card).partition("Args:\n")[2].partition("\n\n")[0]
    return [" ".join(term.split()) for term in re.split(r"\n(?=    \w)", given)]


def _formula(card: Card) -> str:
    """The docstring of the formula: the function of the objective's name, or the first of its file."""
    tree = ast.parse((PACKAGE / f"{card.address}.py").read_text(encoding="utf-8"))
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return ast.get_docstring(found.get(f"{short(card)}_loss") or next(iter(found.values()))) or ""


def memory(address: str) -> str:
    """The models that an objective holds while it trains."""
    reference = getattr(load(address)(), "reference", None)
    if reference is None:
        return "the policy"
    if isinstance(reference, Copy):
        return "the policy, and a reference that follows it"
    return "the policy, and the reference" if reference.live else "the policy; the reference answers once, beforehand"


def described(card: Card) -> Iterator[tuple[str, str]]:
    """The parts of a class's docstring, after its first sentence, by their headings."""
    text = inspect.cleandoc(load(card.address).__doc__ or "")
    before, *parts = SECTIONS.split(text)
    rest = before.partition("\n\n")[2].strip()
    yield from (("", rest),) if rest else ()
    for name, part in zip(parts[::2], parts[1::2], strict=True):
        yield name, " ".join(part.split())


def defaults(card: Card) -> dict[str, Any]:
    """The objective's own options with their defaults."""
    return {option.name: ast.literal_eval(option.default or "None") for option in card.options}


def presets(card: Card) -> str:
    """The values of every preset, a row for each place they come from."""
    rows = []
    for preset in card.presets:
        for place, group in groupby(preset.settings, key=lambda setting: setting.place):
            values = ", ".join(f"`{setting.name} = {setting.value}`" for setting in group)
            rows.append([f"`{preset.name}`", place or f"this project, [measured](../../{MEASURED})", values])
    return table(["preset", "from", "values"], rows)


def recipe(card: Card, preset: Preset) -> str:
    """A recipe with every value of a preset written down, each with its place."""
    places = {setting.name: setting for setting in preset.settings}
    own = defaults(card)
    mine = [places.get(name, Setting(name, value)) for name, value in own.items()]
    lines = ['model = "MODEL"', f'data = "{own_kind(card.address)}.jsonl"', f'out = "runs/{short(card)}"', ""]
    lines += ["[objective]", f'method = "{card.address}"', *map(assigned, filter(lambda s: s.value is not None, mine))]
    lines += ["", "[train]", *(assigned(s) for s in preset.settings if s.name not in own)]
    return "\n".join(lines) + "\n"


def assigned(setting: Setting) -> str:
    """A line of TOML."""
    value = setting.value if isinstance(setting.value, float) else json.dumps(setting.value)
    return f"{setting.name} = {value}" + (f"  # {setting.place}" if setting.place else "")


def page(card: Card, link: Callable[[str], str]) -> str:
    """One objective's own page."""
    rows = ", ".join(f"[{kind}](../{kind}.md)" for kind in kinds(card.address))
    code = f"[`{card.address}.py`](../../../espalier/{card.address}.py)"
    text = f"# {short(card)}\n\n{card.title} {link(card.paper)}, {code}.\n\n    {loss(card)}\n\n"
    text += "".join(f"- `{name}`:{said}\n" for name, _, said in (term.partition(":") for term in terms(card))) + "\n"
    text += f"- **Takes:** {rows}.\n- **In memory:** {memory(card.address)}.\n"
    text += "".join(f"- **{name}:** {part}\n" if name else f"- {part}\n" for name, part in described(card))
    text += f"\n## Presets\n\n{presets(card)}\n"
    text += "`small` is for adapters and for few rows, and taken by\n\n"
    words = ["train", short(card), "--model", "MODEL", "--data", f"{own_kind(card.address)}.jsonl", "--adapter", "lora"]
    text += (
        f"    {console.command(*words, '--out', f'runs/{short(card)}')}\n\n## Recipe\n\nAs published, all weights:\n\n"
    )
    return text + f"```toml\n{recipe(card, card.presets[0])}```\n"


def first() -> str:
    """What to start with, by the rows that one has."""
    rows = []
    for kind, (what, wanted, _) in KINDS.items():
        steps = ", then ".join(f"[`{name}`](objectives/methods/{name}.md)" for name, _ in wanted.steps)
        rows.append([f"[{what}](objectives/{kind}.md)", steps, wanted.why, wanted.then])
    return table(["you have", "start with", "because", "then"], rows)


def every() -> str:
    """Every objective: what it takes and holds."""
    rows = []
    for card in cards("objectives"):
        taken = ", ".join(f"[{kind}](objectives/{kind}.md)" for kind in kinds(card.address))
        rows.append([f"[`{short(card)}`](objectives/methods/{short(card)}.md)", taken, memory(card.address)])
    return table(["objective", "takes", "holds in memory"], rows)


def of_kind(kind: str) -> str:
    """The objectives that take rows of a kind: those made for them in front."""
    found = [card for card in cards("objectives") if kind in kinds(card.address)]
    found.sort(key=lambda card: own_kind(card.address) != kind)
    name = "[`{0}`](methods/{0}.md)".format
    return table(
        ["objective", "what it does", "the loss"],
        [[name(short(card)), cell(card.title), cell(loss(card))] for card in found],
    )


def advice_printed() -> str:
    """What `methods --for` says of rated answers, few of them disliked."""
    rows: list[dict[str, Any]] = [
        {"prompt": f"Question {n}?", "completion": f"Answer {n}.", "label": n % 10 > 0} for n in range(600)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "thumbs.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        printed = io.StringIO()
        console.facts(console.make(printed), list(advise(str(path)).lines))
    text = printed.getvalue().replace(f"{folder}/", "")
    return f"```console\n$ espalier methods --for thumbs.jsonl\n{text.rstrip()}\n```\n"


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/objectives.md": {"first": first, "every": every, "for": advice_printed},
    **{f"docs/objectives/{kind}.md": {"table": lambda kind=kind: of_kind(kind)} for kind in KINDS},
}


def pages(link: Callable[[str], str]) -> dict[Path, str]:
    """The page of every objective, by its place in the repository."""
    return {FOLDER / "methods" / f"{short(card)}.md": page(card, link) for card in cards("objectives")}
