"""Embedders by name, and what those of this package have in common."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from espalier import catalogue
from espalier.contracts import Embedder
from espalier.errors import ModelError, RecipeError
from espalier.maths.scripts import BY_WORD

if TYPE_CHECKING:
    from espalier.models.encoder import Encoder

DEFAULT = "minilm"
MULTILINGUAL = "intfloat/multilingual-e5-small, BAAI/bge-m3 or Qwen/Qwen3-Embedding-0.6B"

_NO_LETTERS = re.compile(r"[\W\d_]+")
_LATIN = re.compile(f"[{BY_WORD['Latin']}]+")

Vectors = npt.NDArray[np.float32]


class TextEmbedder:
    """Base of the embedders: what there is to say of one beside its vectors."""

    @property
    def about(self) -> str:
        """How texts become vectors, in a line for the user; what stands before them above all."""
        return ""

    @property
    def shortened(self) -> int:
        """Texts embedded so far whose end was left out, for they are longer than the model reads."""
        return 0

    def refuse(self, texts: Iterable[str]) -> None:
        """Refuse a whole collection that it cannot tell apart.

        Raises:
            ModelError: it cannot.
        """
        return


class EncoderEmbedder(TextEmbedder):
    """Base of those that are a transformer's encoder, which is loaded when it is first asked."""

    @property
    def _encoder(self) -> Encoder:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The model's name, and a digest of all that decides its vectors."""
        return self._encoder.name

    @property
    def about(self) -> str:
        """Prefixes, pooling and length."""
        return self._encoder.about

    @property
    def shortened(self) -> int:
        """Texts so far that are longer than the model reads."""
        return self._encoder.shortened

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """One vector for each text. [texts, H]"""
        return self._encoder.embed(texts, query=query)


def open_embedder(name: str) -> Embedder:
    """The embedder of a name.

    Args:
        name: "minilm", a folder or hub id, or a server with a model, http://HOST:PORT/v1:MODEL.

    Raises:
        RecipeError: it is none of these.
    """
    if name == DEFAULT:
        return _built("embedders/minilm")
    if name.startswith(("http://", "https://")):
        host, slash, rest = name.partition("://")[2].partition("/")
        path, _, model = rest.partition(":")
        if not model:
            raise RecipeError(f"{name!r} names no model; write the server and its model, http://HOST:PORT/v1:MODEL.")
        return _built("embedders/server", url=name.partition("://")[0] + f"://{host}{slash}{path}", model=model)
    if not name.strip():
        raise RecipeError(
            f"the embedder has no name; give {DEFAULT}, a folder, a hub id, or http://HOST:PORT/v1:MODEL."
        )
    return _built("embedders/static" if is_static(folder_of(name)) else "embedders/sentence", model=name)


def _built(address: str, **options: str) -> Embedder:
    made: Embedder = catalogue.build({"method": address, **options})
    return made


def folder_of(target: str) -> Path:
    """The folder of a model: as it is, or of a hub id, fetched if it is not in the cache.

    Raises:
        ModelError: there is none.
    """
    folder = Path(target).expanduser()
    if folder.is_dir():
        return folder
    if target.startswith((".", "/", "~")) or target.count("/") != 1:
        raise ModelError(f"{target}: no such folder, and no hub id such as intfloat/multilingual-e5-small.")
    import httpx
    from huggingface_hub import snapshot_download

    patterns, others = ["*.json", "*.safetensors", "*.txt", "*.model"], ["onnx/*", "openvino/*"]
    try:
        return Path(snapshot_download(target, allow_patterns=patterns, ignore_patterns=others))
    except (OSError, ValueError, httpx.HTTPError) as problem:
        raise ModelError(
            f"{target}: there is no folder of that name, and the hub cannot be reached or does not have it. "
            "Give a folder, or download the model first."
        ) from problem


def is_static(folder: Path) -> bool:
    """Whether a model has a fixed vector for each token and no layers."""
    modules = read_json(folder / "modules.json", [])
    first = str(modules[0].get("type", "")) if modules else ""
    config = read_json(folder / "config.json", {})
    return first.endswith("StaticEmbedding") or (not first and config.get("model_type") == "model2vec")


def read_json(file: Path, missing: Any) -> Any:
    """The content of a JSON file, or `missing` where there is no file.

    Raises:
        ModelError: it is no JSON.
    """
    if not file.is_file():
        return missing
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ModelError(f"{file} is no JSON ({problem}). Get the model's files again.") from problem


def fingerprint(folder: Path, options: object) -> str:
    """A digest of all that decides a model's vectors: weights, vocabulary, configuration, and how it is used."""
    total = hashlib.sha256(repr(options).encode())
    for file in sorted(
        path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json", ".txt", ".model")
    ):
        with file.open("rb") as data:
            total.update(file.relative_to(folder).as_posix().encode() + hashlib.file_digest(data, "sha256").digest())
    return total.hexdigest()[:16]


def foreign_share(texts: Iterable[str]) -> float:
    """The share of letters that are not Latin."""
    foreign = letters = 0
    for text in texts:
        found = _NO_LETTERS.sub("", text if text.isascii() else unicodedata.normalize("NFKC", text))
        letters += len(found)
        foreign += 0 if found.isascii() else len(_LATIN.sub("", found))
    return foreign / letters if letters else 0.0


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Vectors of length 1; one of length 0 stays as it is. [texts, H]"""
    found: Vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    scaled: Vectors = np.divide(found, lengths, out=np.zeros_like(found), where=lengths != 0)
    return scaled
