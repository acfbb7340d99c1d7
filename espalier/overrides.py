"""What a name in a recipe or on the command line means: which section it belongs to, and what it is called here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from espalier.catalogue import addresses, card, cards, options, resolve
from espalier.errors import RecipeError, unknown
from espalier.tables import Table

METHODS = {"objective": "objectives", "adapter": "adapters", "optimizer": "optimizers"}  # section -> family
NO_ADAPTER = ("full", "none")
SOURCES = ("data", "eval_data")
Names = Mapping[str, Mapping[str, str]]  # section -> option -> its type as text; the top of a recipe is section ""

ALIASES = {
    "lr": "learning_rate",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "train_batch_size": "batch_size",
    "global_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "micro_batch_size": "tokens_per_piece",
    "gradient_accumulation_steps": "batch_size",
    "max_length": "max_tokens",
    "max_seq_length": "max_tokens",
    "max_seq_len": "max_tokens",
    "sequence_len": "max_tokens",
    "cutoff_len": "max_tokens",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
    "lr_scheduler": "schedule",
    "lr_scheduler_type": "schedule",
    "max_grad_norm": "max_norm",
    "gradient_clipping": "max_norm",
    "gradient_checkpointing": "activation_checkpointing",
    "bf16": "dtype",
    "fp16": "dtype",
    "torch_dtype": "dtype",
    "load_in_4bit": "quantize",
    "load_in_8bit": "quantize",
    "eval_steps": "eval_every",
    "save_steps": "save_every",
    "test_size": "eval_share",
    "val_size": "eval_share",
    "max_samples": "limit",
    "max_train_samples": "limit",
    "r": "rank",
    "lora_r": "rank",
    "lora_rank": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "targets",
    "lora_target_modules": "targets",
    "adam_beta1": "beta1",
    "adam_beta2": "beta2",
    "adam_epsilon": "eps",
    "optim": "optimizer",
    "peft": "adapter",
    "peft_config": "adapter",
    "base_model": "model",
    "model_name": "model",
    "model_name_or_path": "model",
    "dataset": "data",
    "dataset_name": "data",
    "train_file": "data",
    "eval_dataset": "eval_data",
    "output_dir": "out",
    "chat_template": "template",
    "enable_thinking": "thinking",
}

NOTES = {"batch_size": "It counts the examples of a whole optimizer step; what fits in memory at once is found out."}


def apply(tables: Table, entries: Iterable[tuple[str, Any]], flat: Names, *, text: bool = False) -> None:
    """Put entries into a recipe's tables, those that choose a method first, for they say which options there are.

    Args:
        tables: the recipe so far; changed in place.
        entries: names ("beta", "objective.beta", "model", "adapter") with values.
        flat: options of the top and of the sections that hold no method.
        text: values are text from the command line, to be read as TOML where they can be.
    """
    for name, value in sorted(entries, key=lambda entry: entry[0] not in METHODS and not entry[0].endswith(".method")):
        names = known(tables, flat)
        path = _path(name, names)
        section, last = path[0] if len(path) > 1 else "", path[-1]
        if text:
            value = read_value(value, names.get(section, {}).get(last, "") if len(path) <= 2 else "")
        if len(path) == 1 and name in METHODS:
            _choose(tables, name, value)
        elif len(path) == 1 and name in flat:
            if not isinstance(value, Mapping):
                raise RecipeError(f"[{name}] is a table of options, not {value!r}.")
            tables[name] = {**tables.get(name, {}), **value}
        elif path[-1] == "method" and path[0] in METHODS and len(path) == 2:
            _choose(tables, path[0], value)
        else:
            _put(tables, path, value)


def known(tables: Table, flat: Names) -> dict[str, Mapping[str, str]]:
    """Every option of a recipe by section: the flat ones, and those of the methods it has chosen."""
    names = dict(flat)
    for section, family in METHODS.items():
        if (table := tables.get(section)) and "method" in table:
            found = card(resolve(table["method"], family))
            names[section] = {option.name: option.type for option in found.options}
    return names


def check(tables: Table, flat: Names) -> None:
    """Refuse sections that are none, options without a method, and options that do not exist."""
    for section, family in METHODS.items():
        table = tables.get(section)
        if table and "method" not in table:
            raise RecipeError(f'[{section}] has no method. Add method = "...", one of {", ".join(addresses(family))}.')
    names = known(tables, flat)
    for section in names.keys() - {""}:
        for option in (tables.get(section) or {}).keys() - {"method"}:
            if option not in names[section]:
                raise RecipeError(stranger(option, names, section, tables))


def read_value(text: str, kind: str = "") -> Any:
    """A value from the command line: TOML where it is TOML, else the text itself, as for an option of type text."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = read["value"]
    wants_text = "str" in kind and set(kind.split(" | ")) <= {"str", "None", "list"}
    if len(read) > 1 or not isinstance(value, bool | int | float | str | list | dict):
        return text
    return text if wants_text and isinstance(value, bool | int | float) else value


def stranger(name: str, names: Names, section: str, tables: Table) -> str:
    """The sentence for an option that a section (for "", any section) has not, naming ours if it is another tool's."""
    method = (tables.get(section) or {}).get("method")
    kind = f"option of {method or f'[{section}]'}" if section else "option"
    ours = ALIASES.get(name, name)
    near = [f"[{other}]" for other in names if other not in ("", section) and ours in names[other]]
    homes = near or [found.address for found in cards() if ours in {option.name for option in found.options}]
    here = ours in (names[section] if section else _bare(names))
    also = f"{ours!r} is an option of {' and '.join(homes[:3])}." if homes and not here else ""
    if ours != name:
        return " ".join(filter(None, (f"no {kind} named {name!r}. Did you mean {ours!r}?", NOTES.get(ours), also)))
    return unknown(kind, name, names[section] if section else _bare(names), also=also)


def _bare(names: Names) -> set[str]:
    return {*METHODS, *(option for options in names.values() for option in options)}


def _path(name: str, names: Names) -> list[str]:
    """Where a name leads: itself if it is dotted or at the top, else the one section that has such an option."""
    path = name.split(".")
    top = {*names[""], *names, *METHODS} - {""}
    if path[0] in top:
        return path
    homes = [section for section, options in names.items() if path[0] in options]
    if len(homes) > 1:
        full = " or ".join(f"{section}.{name}" for section in homes)
        raise RecipeError(f"{name!r} is an option of several sections. Write {full}.")
    if not homes:
        raise RecipeError(stranger(path[0], names, "", {}))
    return [homes[0], *path]


def _choose(tables: Table, section: str, value: Any) -> None:
    """Choose a section's method, by name, table or object; options of the same method chosen before are kept."""
    value = {"method": value} if isinstance(value, str) else value
    table = dict(value) if isinstance(value, Mapping) else options(value)
    before = tables.get(section) or {}
    name = table.get("method", before.get("method"))
    if section == "adapter" and name in NO_ADAPTER:
        tables[section] = None
        return
    if name is not None:
        if not isinstance(name, str):
            raise RecipeError(f"[{section}]: method must be text, not {name!r}.")
        table["method"] = resolve(name, METHODS[section])
    tables[section] = {**before, **table} if table.get("method") == before.get("method") else table


def _put(tables: Table, path: list[str], value: Any) -> None:
    """Set a value some tables deep; a path of data or the address of a method on the way becomes a table."""
    *way, last = path
    for depth, name in enumerate(way):
        inner = tables.get(name)
        if isinstance(inner, str):
            inner = {"path" if depth == 0 and name in SOURCES else "method": inner}
        if not isinstance(inner, Mapping | None):
            raise RecipeError(f"{'.'.join(path)}: {name!r} is {inner!r}, not one table. Set it in the recipe file.")
        tables[name] = dict(inner or {})
        tables = tables[name]
    tables[last] = value
