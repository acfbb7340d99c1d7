"""A reward model as transformers' own sequence classification model: its files, read again and compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from espalier.errors import ModelError
from espalier.export.conversations import EXACT, Agreement, Talk, render_all, same_ids
from espalier.export.hf import forget_machine
from espalier.export.source import Source
from espalier.export.template import chat_ids, shared_template
from espalier.models.load import load_tokenizer, load_weights


def write_scores(source: Source, folder: Path) -> Agreement:
    """Copy the model, with a chat template that needs no switches, and compare its scores with the run's.

    Raises:
        ModelError: what is read again is not the run's.
    """
    talks = render_all(source.renderer, source.context)
    template = shared_template(source, talks)
    for file in Path(source.place.model).iterdir():
        if file.is_file() and file.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt"):
            shutil.copyfile(file, folder / file.name)
    tokenizer = load_tokenizer(source.place.model)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    forget_machine(folder)
    own = load_tokenizer(str(folder))
    same_ids(talks, [chat_ids(own, talk.asked) for talk in talks], "the export")
    before, after = _scores(source.place.model, talks), _scores(str(folder), talks)
    worst = float((before - after).abs().max())
    if not worst <= EXACT:
        raise ModelError(f"the export does not agree with the run: a score differs by {worst:.3g}. Nothing was kept.")
    return Agreement(
        len(talks), sum(len(talk.ids) for talk in talks), float((before - after).abs().mean()), worst, "scores"
    )


def _scores(target: str, talks: list[Talk]) -> torch.Tensor:
    """The score of every conversation, read at the end of its last turn. [talks]"""
    from transformers import AutoModelForSequenceClassification

    model: Any = load_weights(AutoModelForSequenceClassification, target, dtype=torch.float32, whole=True).eval()
    with torch.no_grad():
        return torch.stack([model(input_ids=torch.tensor([talk.ids])).logits[0, 0] for talk in talks])
