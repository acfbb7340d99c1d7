"""Supervised fine-tuning: the cross-entropy of the tokens that count. Defaults of Zephyr's dSFT, arXiv:2310.16944."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from espalier.catalogue import method
from espalier.contracts import Loss, Models, Row, Step, Term
from espalier.errors import RowError
from espalier.train.objective import Objective, per_example
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

if TYPE_CHECKING:
    from espalier.render import Renderer


def sft_loss(token_logps: Tensor) -> Tensor:
    """-log pi(y_t | x, y_<t), one value per counted token; the mean over all of them is the cross-entropy.

    Args:
        token_logps: log-probabilities of the counted tokens, in nats. [T]

    Returns:
        Loss per token, not reduced. [T]
    """
    return -token_logps


@method(paper="arXiv:2310.16944")
@dataclass(frozen=True)
class SFT(Objective):
    """Imitate: raise the likelihood of each completion, every assistant turn, or a whole text.

    Inputs: rows with prompt and completion (the completion counts), messages (each assistant turn) or text (all of it).
    Relations: the stage before DPO and its kin; ORPO adds a preference term to it.
    """

    dropout: bool = False  # keep the model's own dropout while training

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 2e-5, "batch_size": 512, "epochs": 1.0, "warmup": 0.1},
        "small": {"learning_rate": 2e-4, "batch_size": 16, "epochs": 1.0, "warmup": 0.03},
        "zephyr": {"learning_rate": 2e-5, "batch_size": 512, "epochs": 1.0, "warmup": 0.1, "schedule": "cosine"},
        "handbook": {
            "learning_rate": 2e-5, "batch_size": 128, "epochs": 1.0, "warmup": 0.1, "schedule": "cosine",
            "max_tokens": 2048,
        },
    }  # fmt: skip
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Section 4.3 (packed to 2,048 tokens)": "learning_rate, batch_size, epochs, warmup",
        },
        "zephyr": {
            "Section 4.3 (packed to 2,048 tokens)": "learning_rate, batch_size, epochs, warmup, schedule",
        },
        "handbook": {
            "huggingface/alignment-handbook, recipes/zephyr-7b-beta/sft/config_full.yaml (8 GPUs)": (
                "learning_rate, batch_size, epochs, warmup, schedule, max_tokens"
            ),
        },
    }

    def plant(self, row: Row, render: Renderer) -> Tree:
        """One example: a path, or one per assistant turn where the template rewrites earlier turns."""
        if row.get("messages") is not None:
            paths = render.conversation(row["messages"], row.get("tools"))
        elif row.get("prompt") is not None and row.get("completion") is not None:
            paths = [render.completion(row["prompt"], row["completion"], row.get("tools"))]
        elif row.get("prompt") is not None and row.get("chosen") is not None:
            paths = [render.completion(row["prompt"], row["chosen"], row.get("tools"))]
        elif row.get("text") is not None:
            paths = [render.text(row["text"])]
        else:
            raise RowError("missing 'completion'; objectives/sft needs prompt and completion, messages, or text")
        return Tree.of(paths, weight=float(row.get("weight", 1.0)))

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Count tokens, each with its row's weight."""
        forest = super().prepare(trees, models, step)
        tokens = per_example(forest, forest["weight"][forest.owner("token")].double())
        forest.count("loss", tokens)
        return forest

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum over the counted tokens."""
        values = sft_loss(models.policy.token_logps(piece))
        weighted = values * piece["weight"][piece.owner("token")]
        return Loss({"loss": Term(weighted.sum())})
