"""What can go wrong, said in one sentence: what was given, what was expected, what to do.

    EspalierError           exit code 2; the command line prints the sentence and nothing else
      +-- RecipeError       an option, a method or a recipe that cannot be
      +-- RowError          a row, a file of rows or a column
      +-- ModelError        a model folder, a tokenizer, an adapter
      +-- RunError          a run that cannot start, go on or be read

A traceback is a bug of ours: everything a user can cause is one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EspalierError(Exception):
    """Base of every error whose cause lies outside the code; its text is written for the user."""


class RecipeError(EspalierError, ValueError):
    """An option, method or recipe that does not exist or contradicts another."""


class RowError(EspalierError, ValueError):
    """Data that cannot be read, or would train nothing or the wrong tokens."""


class ModelError(EspalierError, ValueError):
    """A model, tokenizer or adapter that cannot be loaded or does not fit."""


class RunError(EspalierError, RuntimeError):
    """A run that cannot start, go on or be resumed."""


def unknown(kind: str, name: str, known: Iterable[str], *, also: str = "") -> str:
    """The sentence for a name that does not exist, with the nearest that do.

    Args:
        kind: what was looked up: "method", "option of objectives/dpo", "column".
        name: what was given.
        known: what exists.
        also: a further sentence, for instance where to look.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"no {kind} named {name!r}.{hint} Known: {shown or 'none'}." + (f" {also}" if also else "")
