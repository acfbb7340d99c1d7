"""What is measured of search over vectors."""

import numpy as np
import pytest

from benchmarks.vectors import drawn, exact, graph


def test_vectors_have_length_one_and_figures_are_positive():
    vectors, queries = drawn(500, 8), drawn(3, 8, seed=1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    found = exact(vectors, queries, 3)
    assert found["batch"] == 3 and all(value > 0 for value in found.values())
    pytest.importorskip("usearch")
    assert graph(vectors, queries, 3)["recall_at_10"] > 0.9
