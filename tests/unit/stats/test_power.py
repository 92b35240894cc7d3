"""Power: against statsmodels, and its own two directions against each other."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.stats.interval import Interval
from tunesmith.stats.paired import mean_interval
from tunesmith.stats.power import deviation_from_interval, examples_needed, minimum_detectable_difference


def test_minimum_detectable_is_near_the_t_test_of_statsmodels() -> None:
    """statsmodels 0.15.0: TTestPower().solve_power(nobs=500, alpha=.05, power=.8) = 0.12553231642698945 (exact t)."""
    found = minimum_detectable_difference(1 / math.sqrt(500), level=0.95)
    assert found == pytest.approx(0.12553231642698945, rel=0.003)
    assert found == pytest.approx((1.959963984540054 + 0.8416212335729143) / math.sqrt(500), abs=1e-12)


def test_nothing_can_be_said_without_spread() -> None:
    assert minimum_detectable_difference(0.0, level=0.95) is None
    assert examples_needed(0.1, 0.0, level=0.95) is None
    assert examples_needed(0.0, 1.0, level=0.95) is None


@given(st.floats(0.001, 1.0), st.floats(0.05, 3.0))
def test_the_examples_needed_make_the_gap_detectable_and_one_fewer_do_not(gap: float, deviation: float) -> None:
    n = examples_needed(gap, deviation, level=0.95)
    assert n is not None
    enough = minimum_detectable_difference(deviation / math.sqrt(n), level=0.95)
    assert enough is not None and enough <= gap * (1 + 1e-9)
    if n > 1:
        short = minimum_detectable_difference(deviation / math.sqrt(n - 1), level=0.95)
        assert short is not None and short >= gap * (1 - 1e-9)


def test_a_difference_of_that_size_is_found_four_times_in_five() -> None:
    rng = numpy.random.default_rng(80)
    gap = minimum_detectable_difference(1 / math.sqrt(200), level=0.95)
    assert gap is not None
    results = [mean_interval(sample, level=0.95) for sample in rng.normal(gap, 1.0, size=(3000, 200))]
    found = numpy.mean([isinstance(result, Interval) and result.low > 0 for result in results])
    assert found == pytest.approx(0.8, abs=0.025)


def test_deviation_is_read_back_from_an_interval() -> None:
    assert deviation_from_interval(-0.1959963984540054, 0.1959963984540054, 100, level=0.95) == pytest.approx(
        1.0, abs=1e-12
    )
