"""Rated answers for tests: random prompts, each with an answer that is liked or not."""

from typing import Any

import numpy as np
import torch

from espalier.trees.tree import Field, Tree
from tests.models.tiny import VOCABULARY
from tests.train.toys import branch


def rated(seed: int, *, label: bool | None = None, weight: float = 1.0) -> Tree:
    """A random prompt and answer; every third one is disliked unless the label is given."""
    draw = np.random.default_rng(seed)
    prompt, target = (draw.integers(3, VOCABULARY, draw.integers(2, 9)) for _ in range(2))
    liked = seed % 3 != 0 if label is None else label
    return Tree.of([branch(prompt, target)], label=Field([liked], "completion"), weight=weight)


def both(seed: int, *, weight: float = 1.0) -> Tree:
    """A random prompt with a liked and a disliked answer."""
    draw = np.random.default_rng(seed)
    prompt, *targets = (draw.integers(3, VOCABULARY, draw.integers(2, 9)) for _ in range(3))
    paths = [branch(prompt, target) for target in targets]
    return Tree.of(paths, label=Field([True, False], "completion"), weight=weight)


def moved(model: Any, seed: int = 3) -> None:
    """Have a model's weights drift away from where they are, and from their reference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
