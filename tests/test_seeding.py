import subprocess
import sys

import torch

from espalier.seeding import derive, generator


def test_the_same_parts_give_the_same_number_in_every_process():
    code = "from espalier.seeding import derive; print(derive(3, 'order', 7))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(found) == derive(3, "order", 7) == 698263774429228503


def test_parts_are_kept_apart():
    seeds = {
        derive(0),
        derive(1),
        derive(0, "a"),
        derive(0, "ab"),
        derive(0, "a", "b"),
        derive(0, "a", 1),
        derive(0, 1, "a"),
    }
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_generator_is_where_it_is_for_its_purpose():
    first = torch.rand(3, generator=generator(0, "x"))
    assert torch.equal(first, torch.rand(3, generator=generator(0, "x")))
    assert not torch.equal(first, torch.rand(3, generator=generator(0, "y")))
