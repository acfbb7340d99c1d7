"""`espalier.toml` in the working folder: what commands use where their options do not say otherwise.

model = "Qwen/Qwen3-0.6B"            # or lm = "http://localhost:8000/v1:qwen3"
embedder = "intfloat/multilingual-e5-small"
index = "docs.kb"
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from espalier.errors import RecipeError, unknown

FILE = "espalier.toml"
_said: set[Path] = set()


@dataclass(frozen=True)
class Settings:
    """What the file says; None where it says nothing."""

    lm: str | None = None  # the address of a server
    embedder: str | None = None
    model: str | None = None  # a run, an adapter, a model folder or a hub id
    index: str | None = None

    @classmethod
    def read(cls, folder: Path | None = None) -> Settings:
        """The settings of a folder, the working folder by default; all None where it has no such file.

        Raises:
            RecipeError: the file cannot be read, or says what no setting is.
        """
        path = (folder or Path.cwd()) / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as problem:
            raise RecipeError(
                f"{path} cannot be read: {getattr(problem, 'strerror', None) or 'it is no UTF-8'}."
            ) from None
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise RecipeError(f"{path} is not TOML: {problem}.") from None
        known = [field.name for field in fields(cls)]
        for name, value in table.items():
            if name not in known:
                raise RecipeError(f"{path}: {unknown('setting', name, known)}")
            if not isinstance(value, str) or not value.strip():
                raise RecipeError(f"{path}: {name} must be a text that is not empty.")
        found = cls(**table)
        if found.lm is not None and found.model is not None:
            raise RecipeError(f"{path}: lm and model both name what answers. Keep one of them.")
        return found

    def used(self, *names: str, folder: Path | None = None) -> None:
        """Say on stderr, once in this process, that the file decided something."""
        path = (folder or Path.cwd()) / FILE
        taken = [f"{name} = {value}" for name in names if (value := getattr(self, name)) is not None]
        if taken and path not in _said:
            _said.add(path)
            print(f"{path}: {', '.join(taken)}", file=sys.stderr)


def answering(model: str | None, lm: str | None, settings: Settings) -> tuple[str | None, str | None]:
    """What answers, a model here or a server: what the options say, else the settings.

    Raises:
        RecipeError: the options name both.
    """
    if model is not None and lm is not None:
        raise RecipeError("--model and --lm both name what answers. Give one of them.")
    if model is None and lm is None:
        settings.used("model", "lm")
        return settings.model, settings.lm
    return model, lm
