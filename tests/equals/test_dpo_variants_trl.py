"""DPO's variants: the same loss and the same gradients as TRL's DPOTrainer, in float32."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from torch.testing import assert_close

from espalier.models.roles import assemble
from espalier.objectives.dpo import DPO
from espalier.objectives.dpo_norm import DPONorm
from espalier.objectives.f_dpo import FDPO
from espalier.objectives.hinge_norm import HingeNorm
from espalier.objectives.ipo import IPO
from espalier.objectives.ld_dpo import LDDPO
from espalier.objectives.robust_dpo import RobustDPO
from espalier.objectives.rpo import RPO
from espalier.objectives.tr_dpo import TRDPO
from tests.equals import peer
from tests.train.toys import policy_of

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums in another order


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A policy, and the reference it has moved away from."""
    return peer.models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        (RobustDPO(beta=0.3, label_smoothing=0.2), {"loss_type": "robust", "beta": 0.3, "label_smoothing": 0.2}),
        (HingeNorm(gamma=0.5), {"loss_type": "hinge", "beta": 0.5}),
        (DPONorm(beta=5.0), {"loss_type": "sigmoid_norm", "beta": 5.0}),
        (LDDPO(beta=0.3, alpha=0.3), {"beta": 0.3, "ld_alpha": 0.3}),
        (IPO(tau=0.1), {"loss_type": "ipo", "beta": 0.1}),
        (FDPO(beta=0.3, divergence="forward_kl"), {"beta": 0.3, "f_divergence_type": "forward_kl"}),
        (FDPO(beta=0.3, divergence="jensen_shannon"), {"beta": 0.3, "f_divergence_type": "js_divergence"}),
        # the paper's alpha is one minus TRL's: there 1 is the reverse KL, in the paper 0 is
        (
            FDPO(beta=0.3, divergence="alpha", alpha=0.7),
            {"beta": 0.3, "f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.3},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_equals_trl(objective: Any, options: dict[str, Any], pair: tuple[Any, Any], tmp_path: Path) -> None:
    rows = peer.rows(peer.LENGTHS)
    found = peer.ours(objective, pair, [peer.tree(row) for row in rows])
    assert_close(found, peer.theirs("DPO", pair, rows, tmp_path, **options), **CLOSE)


def test_equals_trl_rpo_on_completions_of_one_length(pair: tuple[Any, Any], tmp_path: Path) -> None:
    """TRL's SFT term is one mean over all tokens of the micro-batch: the paper's where the lengths are equal."""
    rows = peer.rows([(5, 6, 4), (9, 6, 8), (3, 6, 2)])
    options = {"beta": 0.3, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    found = peer.ours(RPO(beta=0.3, nll_weight=0.5), pair, [peer.tree(row) for row in rows])
    assert_close(found, peer.theirs("DPO", pair, rows, tmp_path, **options), **CLOSE)


def test_equals_trl_rpo_but_for_the_mean_of_the_sft_term(pair: tuple[Any, Any], tmp_path: Path) -> None:
    rows = peer.rows(peer.LENGTHS)
    trees = [peer.tree(row) for row in rows]
    options = {"beta": 0.3, "loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
    wanted = peer.theirs("DPO", pair, rows, tmp_path, **options)
    over_tokens = peer.combined((1.0, peer.ours(DPO(beta=0.3), pair, trees)), (0.5, peer.own(pair[0], trees)))
    assert_close(over_tokens, wanted, **CLOSE)
    assert abs(peer.ours(RPO(beta=0.3, nll_weight=0.5), pair, trees)[0] - wanted[0]) > 1e-3


def test_equals_trl_moves_of_a_reference(pair: tuple[Any, Any]) -> None:
    from trl.trainer.callbacks import SyncRefModelCallback

    policy, reference = copy.deepcopy(pair[0]), copy.deepcopy(pair[1])
    roles = assemble(TRDPO(every=3, mix=0.6), policy_of(copy.deepcopy(reference)), fresh_adapter=False)
    ours = roles.reference.inner.model
    roles.policy.inner.model.load_state_dict(policy.state_dict())
    for step in range(5):  # TRL moves after the third step too: it has counted it by then
        roles.after_step(step)
    SyncRefModelCallback._sync_target_model(policy, reference, 0.6)
    for name, value in reference.named_parameters():
        assert_close(dict(ours.named_parameters())[name].data, value.data, **CLOSE)
