"""How the files of a sentence encoder say that texts become vectors, and what its query and passages begin with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.embedding import read_json
from espalier.errors import ModelError, unknown

POOLING = ("cls", "mean", "max", "last", "weighted_mean", "mean_sqrt_length")
_MODES = {  # sentence-transformers' names, of versions before 6 and of 6
    "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_length", "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last", "mean_sqrt_len_tokens": "mean_sqrt_length", "weightedmean": "weighted_mean",
    "lasttoken": "last", "cls": "cls", "max": "max", "mean": "mean",
}  # fmt: skip
_LAYERS = ("Dense", "LayerNorm", "Normalize", "Dropout")
_QUERY = ("query", "search_query", "retrieval.query", "s2p_query", "web_search_query")
_PASSAGE = ("document", "passage", "corpus", "search_document", "retrieval.passage")
_WEB = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
_BGE = "Represent this sentence for searching relevant passages: "
KNOWN = (  # models whose files do not say it, by name, as their cards have it; the first that fits
    (r"e5-mistral|e5-.*instruct", _WEB + " ", ""),
    (r"(^|[/_-])e5-(small|base|large)", "query: ", "passage: "),
    (r"qwen3-embedding", _WEB, ""),
    (r"bge-(small|base|large)-en|mxbai-embed-large|arctic-embed-(xs|s|m|l)($|-v1)", _BGE, ""),
    (r"bge-(small|base|large)-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    (r"nomic-embed-text", "search_query: ", "search_document: "),
    (r"embeddinggemma", "task: search result | query: ", "title: none | text: "),
)


@dataclass(frozen=True)
class SentenceConfig:
    """What the files say; `layers` are what follows the pooling, each with its class, its folder and its options."""

    body: Path
    pooling: tuple[str, ...]
    pools_prefix: bool
    layers: tuple[tuple[str, Path, dict[str, Any]], ...]
    max_tokens: int | None
    lower: bool
    query: str  # what a query begins with
    passage: str
    source: str  # where that is from


def read_config(folder: Path, name: str, pooling: str = "") -> SentenceConfig:
    """What a folder says of itself; the pooling of one that does not is the mean.

    Args:
        folder: the model.
        name: what it is called, which decides where its files have no prefixes.
        pooling: one of POOLING, in place of the folder's own.

    Raises:
        ModelError: a part of it is not known here.
    """
    if pooling and pooling not in POOLING:
        raise ModelError(unknown("pooling", pooling, POOLING))
    modules = read_json(folder / "modules.json", [])
    if not isinstance(modules, list) or not all({"type", "path"} <= module.keys() for module in modules):
        raise ModelError(f"{folder / 'modules.json'} is no list of modules. Get the model's files again.")
    parts = [(str(module["type"]).rpartition(".")[2], folder / str(module["path"])) for module in modules]
    body = parts[0][1] if parts else folder
    if parts and parts[0][0] != "Transformer":
        raise ModelError(f"{name}: a model that begins with {parts[0][0]} is no transformer; only those are run here.")
    modes, pools_prefix, layers = [pooling or "mean"], True, []
    for kind, place in parts[1:]:
        options = read_json(place / "config.json", {})
        if kind == "Pooling":
            modes, pools_prefix = [pooling] if pooling else _modes(options), bool(options.get("include_prompt", True))
        elif kind in _LAYERS:
            layers.append((kind, place, options))
        else:
            raise ModelError(f"{name}: {unknown('module', kind, ('Pooling', *_LAYERS))}")
    own: dict[str, Any] = next((read_json(file, {}) for file in sorted(body.glob("sentence_*config.json"))), {})
    prefixes = _prefixes(read_json(folder / "config_sentence_transformers.json", {}), f"{name} {_origin(body)}")
    lower, longest = bool(own.get("do_lower_case")), own.get("max_seq_length")
    return SentenceConfig(body, tuple(modes), pools_prefix, tuple(layers), longest, lower, *prefixes)


def _origin(body: Path) -> str:
    return str(read_json(body / "config.json", {}).get("_name_or_path", ""))


def _modes(options: dict[str, Any]) -> list[str]:
    """The ways of pooling, whose vectors stand one behind the other if there are several."""
    given = options.get("pooling_mode")
    names = [given] if isinstance(given, str) else given or [key for key in _MODES if options.get(key) is True]
    for name in names:
        if name not in _MODES:
            raise ModelError(unknown("pooling", name, _MODES))
    return [_MODES[name] for name in names] or ["mean"]


def _prefixes(config: dict[str, Any], name: str) -> tuple[str, str, str]:
    """What a query and a passage begin with, and where that is from."""
    prompts = {key: text for key, text in (config.get("prompts") or {}).items() if text is not None}
    default = prompts.get(config.get("default_prompt_name") or "", "")
    query = next((prompts[key] for key in _QUERY if key in prompts), default)
    passage = next((prompts[key] for key in _PASSAGE if key in prompts), default)
    if query or passage:
        return query, passage, "its configuration"
    known = next(((query, passage) for pattern, query, passage in KNOWN if re.search(pattern, name.lower())), None)
    return (*known, "known for its name") if known else ("", "", "")
