"""ORPO against TRL's ORPOTrainer, in float32: the odds are the same, the SFT term is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.testing import assert_close

from espalier.objectives.orpo import ORPO
from tests.equals import peer

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves


@pytest.mark.parametrize(("lengths", "equal"), [([(5, 6, 4), (9, 6, 8), (3, 6, 2)], True), (peer.LENGTHS, False)])
def test_equals_trl_orpo_but_for_the_sft_term(lengths: list[tuple[int, int, int]], equal: bool, tmp_path: Path) -> None:
    """TRL takes one mean over the tokens of prompts and chosen completions, the paper each completion's own mean."""
    pair, rows = peer.models(tmp_path), peer.rows(lengths)
    trees = [peer.tree(row, begin=(0,)) for row in rows]  # this trainer begins every prompt with a BOS
    found = peer.ours(ORPO(odds_weight=0.4), pair, trees)
    light = peer.ours(ORPO(odds_weight=0.1), pair, trees)
    odds = peer.combined((1.0, found), (-1.0, light))  # 0.3 of the odds ratio term
    wanted = peer.theirs("ORPO", pair, rows, tmp_path, beta=0.4)
    with_prompts = peer.combined((1.0, peer.own(pair[0], trees, prompt=True)), (4 / 3, odds))
    assert_close(with_prompts, wanted, rtol=1e-4, atol=1e-5)  # float32 sums in another order
    assert abs(found[0] - wanted[0]) > 1e-3
    if equal:  # completions of one length: the mean over their tokens is the mean of their means
        without = peer.combined((1.0, peer.own(pair[0], trees)), (4 / 3, odds))
        assert_close(found, without, rtol=1e-4, atol=1e-5)
