"""What answers, by one name: a model on this machine, or one behind a server that speaks OpenAI's protocol."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from espalier.contracts import LM
from espalier.errors import RecipeError
from espalier.lm.counts import Counts

if TYPE_CHECKING:
    from espalier.lm.cache import Cache


def is_address(name: str) -> bool:
    """Whether a name is the address of a server."""
    return name.startswith(("http://", "https://"))


def split_address(name: str) -> tuple[str, str]:
    """An address and the model named behind it: "http://localhost:8000/v1:qwen3:8b" has the model "qwen3:8b"."""
    scheme, _, rest = name.partition("://")
    host, slash, path = rest.partition("/")
    path, _, model = path.partition(":")
    return f"{scheme}://{host}{slash}{path}", model


class Answering:
    """Opens models by name, each once, and closes what it has opened; a context manager.

    Args:
        key_variable: the environment variable that holds the key of servers; OPENAI_API_KEY for OpenAI's own.
        dtype: what models on this machine compute in.
    """

    def __init__(self, *, key_variable: str | None = None, dtype: str = "auto") -> None:
        self.key_variable, self.dtype = key_variable, dtype
        self.opened: dict[str, LM] = {}
        self.alone = False  # whether something that computes here is open, which is asked by one thread only
        self._stack = ExitStack()
        self._cache: Cache | None = None

    def __enter__(self) -> Answering:
        """Nothing is open yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections and the cache."""
        self._stack.close()

    def open(self, name: str) -> LM:
        """The model of a name.

        Args:
            name: a run, an adapter, a model folder or a hub id; or an address, with ":MODEL" behind it where the server
                has several models.

        Raises:
            EspalierError: there is no such model.
        """
        if name not in self.opened:
            self.opened[name] = self._served(name) if is_address(name) else self._loaded(name)
        return self.opened[name]

    @property
    def workers(self) -> int:
        """How many rows may be worked on at once: more than one where only servers are asked."""
        found = [getattr(lm, "concurrency", 1) for lm in self.opened.values()]
        return 1 if self.alone else min(found, default=1)

    def spent(self) -> Counter[str]:
        """Requests and tokens of all models together, so far."""
        return sum((Counter(vars(getattr(lm, "counts", Counts()))) for lm in self.opened.values()), Counter[str]())

    def _loaded(self, name: str) -> LM:
        from espalier.lm.local import Local
        from espalier.run import load

        loaded = load(name, dtype=self.dtype)
        self.alone = True
        lm = Local(loaded.policy, loaded.renderer)
        lm.name = name
        return lm

    def _served(self, name: str) -> LM:
        from espalier.lm.cache import Cache
        from espalier.lm.http import Http

        url, model = split_address(name)
        if self._cache is None:
            self._cache = self._stack.enter_context(Cache())
        lm = self._stack.enter_context(Http(model, url, key_variable=self.key_variable, cache=self._cache))
        if not model:
            known = lm.client.models()
            if len(known) != 1:
                has = f"it has {', '.join(known)}" if known else "the server does not say which it has"
                raise RecipeError(f"{url}: name the model behind the address, {url}:MODEL; {has}.")
            lm.model = lm.name = known[0]
        return lm


def stamp(name: str) -> list[object]:
    """A model's name and what tells its weights from those that stood there before: their sizes and times."""
    if is_address(name) or not Path(name).expanduser().exists():
        return [name]
    files = sorted(Path(name).expanduser().rglob("*.safetensors"))
    parts = [file for file in files if "checkpoints" not in file.parts]
    return [name, [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in parts]]
