"""CPO, SimPO and SLiC: the same loss and the same gradients as TRL's CPOTrainer, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch.testing import assert_close

from espalier.objectives.cpo import CPO
from espalier.objectives.simpo import SimPO
from espalier.objectives.slic import SLiC
from tests.equals import peer

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums in another order
BEGIN = (0,)  # this trainer begins every prompt with a BOS
EQUAL = [(5, 6, 4), (9, 6, 8), (3, 6, 2)]  # chosen completions of one length


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A policy; its reference is not used."""
    return peer.models(tmp_path_factory.mktemp("models"))


def both(
    objective: Any, pair: tuple[Any, Any], lengths: list[tuple[int, int, int]], folder: Path, **options: Any
) -> tuple[Any, Any]:
    """Ours and theirs."""
    rows = peer.rows(lengths)
    trees = [peer.tree(row, begin=BEGIN) for row in rows]
    return peer.ours(objective, pair, trees), peer.theirs("CPO", pair, rows, folder, **options)


def test_equals_trl_cpo_on_completions_of_one_length(pair: tuple[Any, Any], tmp_path: Path) -> None:
    """TRL's SFT term is one mean over all tokens of the micro-batch: ours where the lengths are equal."""
    found, wanted = both(CPO(beta=0.3, nll_weight=0.7), pair, EQUAL, tmp_path, beta=0.3, cpo_alpha=0.7)
    assert_close(found, wanted, **CLOSE)


def test_equals_trl_cpo_but_for_the_mean_of_the_sft_term(pair: tuple[Any, Any], tmp_path: Path) -> None:
    found, wanted = both(CPO(beta=0.3), pair, peer.LENGTHS, tmp_path, beta=0.3)
    assert abs(found[0] - wanted[0]) > 1e-3
    trees = [peer.tree(row, begin=BEGIN) for row in peer.rows(peer.LENGTHS)]
    preference = peer.ours(CPO(beta=0.3, nll_weight=0.0), pair, trees)
    assert_close(peer.combined((1.0, preference), (1.0, peer.own(pair[0], trees))), wanted, **CLOSE)


def test_equals_trl_simpo(pair: tuple[Any, Any], tmp_path: Path) -> None:
    """TRL's gamma is the paper's; ours is divided by beta, as in the authors' recipes."""
    options = {"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.5, "simpo_gamma": 0.8 * 2.5}
    found, wanted = both(SimPO(beta=2.5, gamma_beta_ratio=0.8), pair, peer.LENGTHS, tmp_path, **options)
    assert_close(found, wanted, **CLOSE)


def test_equals_trl_hinge_without_a_reference(pair: tuple[Any, Any], tmp_path: Path) -> None:
    """max(0, 1 - beta d) is beta max(0, delta - d) at delta = 1 / beta."""
    options = {"loss_type": "hinge", "cpo_alpha": 0.0, "beta": 0.05}
    found, wanted = both(SLiC(delta=20.0, regularization=0.0), pair, peer.LENGTHS, tmp_path, **options)
    assert_close(peer.combined((0.05, found)), wanted, **CLOSE)
