"""Precision: a named dtype is taken as it is, `auto` goes by the model's size and what was measured."""

import pytest
import torch

from espalier.errors import RecipeError
from espalier.models import precision
from espalier.models.precision import decide

BIG = precision.SMALL * 10


@pytest.fixture
def measured(monkeypatch):
    def rates(**found):
        monkeypatch.setattr(precision, "gemm_rates", lambda: {name.replace("_", " "): v for name, v in found.items()})
        monkeypatch.setattr(precision, "medium_is_exact", lambda: True)

    return rates


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_named_dtype_is_taken_without_measuring_so_that_runs_repeat(dtype, monkeypatch):
    monkeypatch.setattr(precision, "gemm_rates", lambda: pytest.fail("nothing needs to be measured"))
    found = decide(dtype, "cpu", BIG)
    assert (found.compute, found.matmul, found.rates) == (dtype, "highest", {})


def test_auto_goes_by_what_was_measured(measured):
    measured(float32=100.0, float32_medium=110.0, bfloat16=400.0)
    assert (decide("auto", "cpu", BIG).compute, decide("auto", "cpu", BIG).matmul) == ("bfloat16", "highest")
    measured(float32=100.0, float32_medium=230.0, bfloat16=240.0)
    assert (decide("auto", "cpu", BIG).compute, decide("auto", "cpu", BIG).matmul) == ("float32", "medium")
    assert decide("auto", "cpu", 1000).reason.startswith("1,000 parameters")


def test_frozen_weights_are_narrow_only_where_nothing_trains_them():
    assert decide("bfloat16", "cpu", BIG).frozen_weights(trains_all=False) == torch.bfloat16
    assert decide("bfloat16", "cpu", BIG).frozen_weights(trains_all=True) == torch.float32
    assert decide("float32", "cpu", BIG).frozen_weights(trains_all=False) == torch.float32
    assert decide("float32", "cpu", BIG).autocast is None


def test_measuring_leaves_the_setting_as_it_was():
    before = torch.get_float32_matmul_precision()
    rates = precision.gemm_rates(size=32, repeats=1)
    assert set(rates) == {"float32", "float32 medium", "bfloat16"}
    assert min(rates.values()) > 0
    assert torch.get_float32_matmul_precision() == before


def test_an_unknown_dtype_is_refused():
    with pytest.raises(RecipeError, match="no dtype named 'float8'"):
        decide("float8", "cpu", BIG)
