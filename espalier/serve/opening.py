"""What `espalier serve` is told to serve, opened: a model here or a server, indexes, an embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from espalier.answering import Answering, split_address
from espalier.contracts import LM
from espalier.errors import RecipeError
from espalier.pipelines import Pipeline
from espalier.serve.app import Service
from espalier.serve.knowledge import Knowledge
from espalier.serve.served import LocalModel, Served
from espalier.serve.upstream import Upstream
from espalier.serve.vectors import Vectors
from espalier.serve.writer import Writer


@dataclass(frozen=True)
class Wanted:
    """What is to be served."""

    model: str | None = None  # a run, an adapter, a model folder or a hub id
    lm: str | None = None  # or a server's address
    indexes: Sequence[Path] = ()
    pipeline: str = ""  # how indexes are searched and read
    settings: Sequence[str] = ()  # of its parts
    embedder: str | None = None
    k: int | None = None  # passages that are read
    lm_key: str | None = None  # the variable with the key of that server
    dtype: str = "auto"
    at_once: int = 64  # answers written together
    tokens: int = 65_536  # held in memory for them
    clients: int = 256


@dataclass
class Opened:
    """A service, and what ends it."""

    service: Service
    close: Callable[[], None]


def opened(wanted: Wanted, *, key: str = "") -> Opened:
    """Everything opened and checked.

    Args:
        wanted: what is to be served.
        key: what clients must know; links to sources are signed with it.

    Raises:
        EspalierError: something cannot be opened, or fits nothing.
    """
    if wanted.model is None and wanted.lm is None and (wanted.indexes or wanted.embedder is None):
        raise RecipeError(
            "nothing is named that answers. Name a model or a server: --model MODEL, or --lm http://HOST:PORT/v1."
        )
    if (wanted.pipeline or wanted.settings or wanted.k) and not wanted.indexes:
        raise RecipeError("--with, --set and --k say how an index is read. Name one: --index KB.")
    pipeline = Pipeline.parse(wanted.pipeline, wanted.settings)
    names = index_names(wanted.indexes)
    for path in wanted.indexes:  # before a model is loaded, which takes longer
        _check_index(path)
    served: dict[str, Served] = {}
    upstream, closing = None, ExitStack()
    asked: LM | Writer | None = None
    if wanted.lm is not None:
        url, model = split_address(wanted.lm)
        upstream = Upstream(url, model, key_variable=wanted.lm_key)
        asked = closing.enter_context(Answering(key_variable=wanted.lm_key)).open(wanted.lm) if wanted.indexes else None
    elif wanted.model is not None:
        asked = writer = _writer(wanted)
        closing.callback(writer.close)
        served[name_of(wanted.model)] = LocalModel(name_of(wanted.model), writer)
    for name, path in zip(names, wanted.indexes, strict=True):
        assert asked is not None
        served[name] = Knowledge(name, path, pipeline, asked, secret=key, k=wanted.k)
    vectors = None
    if wanted.embedder is not None:
        from espalier.embedding import open_embedder

        vectors = Vectors(open_embedder(wanted.embedder))

    return Opened(Service(served, vectors, upstream, key), closing.close)


def name_of(target: str) -> str:
    """What clients call a model: a hub id, or the last part of a path."""
    path = Path(target).expanduser()
    return path.resolve().name if path.exists() else target


def index_names(paths: Sequence[Path]) -> list[str]:
    """What clients call indexes: "kb/docs" for docs.kb.

    Raises:
        RecipeError: two of them have one name.
    """
    names = [f"kb/{path.stem}" for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two indexes would be called {name}; give their files different names.")
    return names


def _writer(wanted: Wanted) -> Writer:
    from espalier.lm.local import Local
    from espalier.run import load

    loaded = load(str(wanted.model), dtype=wanted.dtype)
    lm = Local(loaded.policy, loaded.renderer)
    return Writer(lm, rows=wanted.at_once, tokens=wanted.tokens, waiting=16 * wanted.clients)


def _check_index(path: Path) -> None:
    from espalier.knowledge.store import Store

    Store.open(path).close()
