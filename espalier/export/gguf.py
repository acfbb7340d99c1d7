"""A GGUF file for llama.cpp and what is built on it, read again and compared before it counts."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espalier.errors import ModelError, RecipeError, unknown
from espalier.export.conversations import Agreement, same_ids, same_logps
from espalier.export.gguf_encode import Encoder
from espalier.export.gguf_metadata import architecture_of, same_settings, write_metadata
from espalier.export.gguf_tensors import Names, packed, rope_factors, tensors
from espalier.export.gguf_tokenizer import Vocabulary
from espalier.export.merge import Merged, Tell
from espalier.export.source import Source
from espalier.export.template import chat_text

KINDS = {"F32": 4.0, "F16": 2.0, "BF16": 2.0, "Q8_0": 34 / 32}  # bytes of a weight
STEPS = {"F32": 0.0, "F16": 2**-10, "BF16": 2**-7, "Q8_0": 2**-6}  # of its block's largest weight, what rounding may do


def check_gguf(source: Source, kind: str) -> str:
    """Refuse what GGUF cannot hold, before any weight is read; the name of the file otherwise.

    Raises:
        RecipeError: no such type, or the package is missing.
        ModelError: the architecture or the tokenizer is not known.
    """
    if kind not in KINDS:
        raise RecipeError(unknown("GGUF type", kind, KINDS))
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise RecipeError("GGUF needs the gguf package: pip install 'espalier-lm[export]'.") from None
    source.writes_text("GGUF")
    architecture_of(source.config)
    Vocabulary.of(source.renderer.tokenizer, source.config.vocab_size)
    return f"{source.name}-{kind}.gguf"


def write_gguf(merged: Merged, file: Path, kind: str, tell: Tell) -> Agreement:
    """Write the file weight by weight, read it again and compare: tensors, token ids and log-probabilities.

    Raises:
        ModelError: what is read again is not what was written, or not the run's.
    """
    from gguf import GGUFReader, GGUFWriter, quant_shape_to_byte_shape

    model, source = merged.model, merged.source
    architecture = architecture_of(source.config)
    names = Names(architecture, model.config)
    writer = GGUFWriter(file, architecture)
    write_metadata(writer, model.config, architecture, name=source.name, base=source.base, kind=kind)
    _vocabulary(merged).write(writer)
    _write_turns(writer, merged)
    for name, tensor, given in tensors(model, names, kind):
        raw = given.name in ("Q8_0", "BF16")
        shape = quant_shape_to_byte_shape(tensor.shape, given) if raw else tuple(tensor.shape)
        dtype = np.dtype("uint8" if raw else "float16" if given.name == "F16" else "float32")
        writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize, raw_dtype=given)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, tensor, given in tensors(model, names, kind):
        writer.write_tensor_data(packed(tensor, given))
    writer.close()
    tell("reading it again")
    reader = GGUFReader(file)
    same_ids(merged.talks, _ids(reader, merged), "the GGUF file")
    return same_logps(merged.talks, _read_back(reader, merged, names), kind, "the GGUF file")


def _vocabulary(merged: Merged) -> Vocabulary:
    """The tokenizer, with or without a space before texts: some put one only where no special token stands before."""
    found = Vocabulary.of(merged.tokenizer, merged.model.config.vocab_size)
    other = replace(found, prefix=not found.prefix)
    for tried in (found, other) if found.model == "llama" else ():
        encoder = Encoder(tried, merged.source.renderer.bos_id)
        with contextlib.suppress(ModelError):
            same_ids(merged.talks, [encoder.encode(chat_text(merged.tokenizer, t.asked)) for t in merged.talks], "GGUF")
            return tried
    return found


def _write_turns(writer: Any, merged: Merged) -> None:
    """Where texts begin and turns end, and the chat template."""
    renderer, tokenizer = merged.source.renderer, merged.tokenizer
    special = {
        writer.add_bos_token_id: tokenizer.bos_token_id,
        writer.add_eos_token_id: renderer.stop_ids[-1],
        writer.add_eot_token_id: renderer.stop_ids[0] if len(renderer.stop_ids) > 1 else None,
        writer.add_unk_token_id: tokenizer.unk_token_id,
        writer.add_pad_token_id: tokenizer.pad_token_id,
    }
    for add, number in special.items():
        if number is not None:
            add(number)
    writer.add_add_bos_token(renderer.bos_id is not None)
    writer.add_add_eos_token(False)
    writer.add_chat_template(merged.template)


def _ids(reader: Any, merged: Merged) -> list[list[int]]:
    """Token ids of the prompts as llama.cpp's server makes them: the template's text without BOS, then BOS and it."""
    start = reader.get_field("tokenizer.ggml.bos_token_id")
    adds = reader.get_field("tokenizer.ggml.add_bos_token").contents()
    encoder = Encoder(Vocabulary.read(reader), int(start.contents()) if adds else None)
    template = reader.get_field("tokenizer.chat_template").contents()
    return [encoder.encode(chat_text(merged.tokenizer, talk.asked, template)) for talk in merged.talks]


def _read_back(reader: Any, merged: Merged, names: Names) -> Any:
    """The model with the weights of the file in place of its own, each compared with it before.

    Raises:
        ModelError: a weight or a setting reads differently.
    """
    from gguf import dequantize

    model = merged.model
    same_settings(reader, model.config, names.architecture)
    found = {tensor.name: tensor for tensor in reader.tensors}
    for name, own in model.state_dict().items():
        if model.config.tie_word_embeddings and name == "lm_head.weight":
            continue
        tensor = found.pop(names.of(name))
        value = torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), np.float32))
        _close(name, value, names.there(name, own), tensor.tensor_type.name)
        own.copy_(names.back(name, value))
    if (factors := rope_factors(model)) is not None:
        _close("rope_freqs", torch.from_numpy(np.array(found.pop("rope_freqs.weight").data)), factors, "F32")
    if found:
        raise ModelError(f"the GGUF file holds what nobody wrote: {', '.join(sorted(found)[:3])}. Nothing was kept.")
    return model


def _close(name: str, read: torch.Tensor, own: torch.Tensor, kind: str) -> None:
    """Refuse a tensor that differs by more than rounding."""
    most = float(own.abs().max()) * STEPS[kind]
    if read.shape != own.shape or not float((read - own).abs().max()) <= most:
        raise ModelError(f"{name} reads differently from the GGUF file ({kind}). Nothing was kept.")
