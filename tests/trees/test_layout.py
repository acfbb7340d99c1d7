"""The flat stream of a forest."""

import torch

from espalier.trees.forest import Forest
from tests.trees.exact import garden


def test_the_stream_holds_every_token_once_and_every_path():
    forest = Forest.plant(garden(), min_shared=1)
    layout = forest.layout
    assert layout.ids.numel() == sum(len(node.ids) for node in layout.nodes) < sum(len(p.ids) for p in forest.paths)
    at = 0
    for branch, last in zip(forest.paths, layout.last.tolist(), strict=True):
        n = len(branch.counted)
        scored = layout.scored[at : at + n]
        assert layout.targets[scored].tolist() == branch.ids[branch.counted].tolist()
        assert layout.ids[layout.sources[scored]].tolist() == branch.ids[branch.counted - 1].tolist()
        assert layout.positions[layout.sources[scored]].tolist() == (branch.counted - 1).tolist()
        assert (layout.ids[last], layout.positions[last]) == (branch.ids[-1], len(branch.ids) - 1)
        at += n
    assert at == len(layout.scored)
    assert len(layout.targets) < at, "a token that counts for two completions is scored once"


def test_a_parent_stands_before_its_children_and_its_ancestors_lead_to_it():
    layout = Forest.plant(garden(), min_shared=1).layout
    for n, node in enumerate(layout.nodes):
        chain = layout.ancestors[n]
        assert (chain[-1] if chain else -1) == node.parent < n
        assert layout.node_of[layout.starts[n]] == n
        assert sum(len(layout.nodes[above].ids) for above in chain) == node.start


def test_what_stands_before_a_scored_token_is_its_path_so_far():
    for min_shared in (1, 8):
        forest = Forest.plant(garden(), min_shared=min_shared)
        layout = forest.layout
        parts = [layout.seen(slice(at, at + 7), 60) for at in range(0, len(layout.targets), 7)]  # as tiles ask for it
        seen = torch.cat(parts)[layout.scored]
        expected = torch.zeros_like(seen)
        places = ((path, place) for path in forest.paths for place in path.counted)
        for row, (path, place) in enumerate(places):
            expected[row, path.ids[:place]] = True
        assert torch.equal(seen, expected)
