"""The test that matters: three conversations that an export must render to the same token ids and score the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier.errors import ModelError, RowError
from espalier.models.roles import Role
from espalier.render import Rendered, Renderer
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

Message = dict[str, str]

EXACT = 1e-3  # nats: what another order of the same float32 sums may move a log-probability by
LIMITS = {"float32": EXACT, "float16": 0.02, "bfloat16": 0.05, "F32": EXACT, "F16": 0.02, "BF16": 0.05, "Q8_0": 0.1}

QUESTION, REPLY = "What is the capital of France?", "The capital of France is Paris."
MORE = "Thanks!  It's 2,145 km\nfrom here, isn't it (I'd guess 1:30 by plane)?"
CONVERSATIONS: dict[str, list[Message]] = {
    "single turn": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": REPLY}],
    "several turns with a system message": [
        {"role": "system", "content": "You are kind, and answer in one sentence."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": REPLY},
        {"role": "user", "content": MORE},
        {"role": "assistant", "content": "That depends on where you are: 42."},
    ],
    "Korean": [
        {"role": "user", "content": "서울은 어느 나라의 수도인가요? 한 문장으로 답해 주세요."},
        {"role": "assistant", "content": "서울은 대한민국의 수도입니다."},
    ],
}


@dataclass(frozen=True)
class Talk:
    """A conversation as the training renders it, and as the run scores it.

    Attributes:
        name: which one.
        messages: the last is the answer.
        prompt: what is seen before the answer. [P]
        ids: the prompt and the answer, its end included, as far as the model's context reaches. [L]
        logps: of every token but the first. [L - 1]
    """

    name: str
    messages: list[Message]
    prompt: list[int]
    ids: list[int]
    logps: Tensor

    @property
    def asked(self) -> list[Message]:
        """The messages before the answer."""
        return self.messages[:-1]


@dataclass(frozen=True)
class Agreement:
    """How well an export agrees with its run.

    Attributes:
        conversations: compared.
        tokens: compared.
        mean: difference of a token's log-probability, in nats.
        worst: the largest of them.
        what: was compared: log-probabilities, or scores.
    """

    conversations: int
    tokens: int
    mean: float
    worst: float
    what: str = "log-probabilities"

    def sentence(self) -> str:
        """For the terminal and the card."""
        unit = " nats" if self.what == "log-probabilities" else ""
        return (
            f"the token ids of {self.conversations} conversations are the same ({self.tokens} tokens); {self.what} "
            f"differ by {self.mean:.2g}{unit} on average, {self.worst:.2g} at most"
        )


def render_all(renderer: Renderer, limit: int) -> list[Talk]:
    """The conversations as trained, not scored yet; without the system message where the template takes none.

    Args:
        renderer: of the training.
        limit: tokens that the model reads at most.

    Raises:
        ModelError: not one can be rendered.
    """
    found = []
    for name, messages in CONVERSATIONS.items():
        for tried in (messages, [message for message in messages if message["role"] != "system"]):
            try:
                row = renderer.completion(tried[:-1], tried[-1]["content"])
            except RowError:
                continue
            prompt = renderer.prompt(tried[:-1]).tolist()
            found.append(Talk(name, tried, prompt, row.ids[:limit].tolist(), torch.zeros(0)))
            break
    if not found:
        raise ModelError("the chat template refuses even one question and its answer: nothing can be compared.")
    return found


def score_all(talks: Sequence[Talk], role: Role) -> list[Talk]:
    """The conversations with the run's own log-probabilities."""
    found = []
    for talk in talks:
        row = Rendered(np.array(talk.ids, np.int32), np.arange(len(talk.ids)) > 0)
        with torch.no_grad():
            logps = role.token_logps(Forest.plant([Tree.of([row])], device=role.device))
        found.append(Talk(talk.name, talk.messages, talk.prompt, talk.ids, logps.float().cpu()))
    return found


def same_ids(talks: Sequence[Talk], found: Sequence[Sequence[int]], what: str) -> None:
    """Compare what the exported tokenizer and template make of each prompt.

    Raises:
        ModelError: not the ids of the training.
    """
    for talk, ids in zip(talks, found, strict=True):
        if list(ids) != talk.prompt:
            pairs = enumerate(zip(ids, talk.prompt, strict=False))
            at = next((number for number, (a, b) in pairs if a != b), min(len(ids), len(talk.prompt)))
            raise ModelError(
                f"{what} does not render a conversation ({talk.name}) as the training did: {len(ids)} tokens instead "
                f"of {len(talk.prompt)}, different from token {at} on ({list(ids[at : at + 4])} instead of "
                f"{talk.prompt[at : at + 4]}). Nothing was kept."
            )


def same_logps(talks: Sequence[Talk], model: Any, kind: str, what: str) -> Agreement:
    """Compare a model's own forward pass with the run, conversation by conversation.

    Args:
        talks: with the run's log-probabilities.
        model: of transformers.
        kind: what its weights were rounded to; decides what may differ.
        what: names it in the sentence.

    Raises:
        ModelError: they differ by more than rounding does.
    """
    differences = torch.cat([(plain_logps(model, talk.ids) - talk.logps).abs() for talk in talks])
    mean, worst = float(differences.mean()), float(differences.max())
    if not mean <= LIMITS[kind]:  # NaN too
        wider = "" if kind in ("float32", "F32") else " Keep more digits: --dtype float32, or --type F16 or F32."
        raise ModelError(
            f"{what} does not agree with the run: log-probabilities of {len(talks)} conversations differ by {mean:.3g} "
            f"nats per token, and {LIMITS[kind]:g} is the most that rounding to {kind} explains. Nothing was kept."
            f"{wider}"
        )
    return Agreement(len(talks), sum(len(talk.ids) for talk in talks), mean, worst)


def plain_logps(model: Any, ids: Sequence[int]) -> Tensor:
    """Log-probabilities of every token but the first, from the model's own forward pass. [L - 1]"""
    batch = torch.tensor([list(ids)], device=next(model.parameters()).device)
    with torch.no_grad():
        logits = model(input_ids=batch, use_cache=False).logits[0, -len(ids) : -1]  # behind virtual tokens, if any
    logps = logits.float().log_softmax(-1)
    found: Tensor = logps.gather(1, batch[0, 1:, None])[:, 0].cpu()
    return found
