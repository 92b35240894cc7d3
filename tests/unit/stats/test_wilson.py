"""Wilson's interval: against statsmodels, its ends, its coverage."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tunesmith.stats.interval import Interval, NoInterval
from tunesmith.stats.wilson import wilson


@pytest.mark.parametrize(
    ("successes", "n", "level", "low", "high"),
    [
        # statsmodels 0.15.0, proportion_confint(successes, n, alpha=1 - level, method="wilson")
        (0, 10, 0.95, 0.0, 0.27753279986288926),
        (10, 10, 0.95, 0.7224672001371106, 1.0),
        (1, 1, 0.95, 0.2065493143772374, 1.0),
        (27, 30, 0.95, 0.7437891742081592, 0.9654001112526659),
        (81, 263, 0.95, 0.2552885198782742, 0.36620957698280004),
        (81, 263, 0.90, 0.2633136171884814, 0.35656634960848815),
        (2750, 3080, 0.95, 0.881440527496006, 0.9032950149483334),
    ],
)
def test_equals_statsmodels(successes: int, n: int, level: float, low: float, high: float) -> None:
    result = wilson(successes, n, level=level)
    assert isinstance(result, Interval)
    assert (result.value, result.n, result.level, result.method) == (successes / n, n, level, "wilson")
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-12)


def test_no_examples_is_no_number() -> None:
    assert wilson(0, 0, level=0.95) == NoInterval("there are no examples", 0)


def test_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="3 successes in 2 trials"):
        wilson(3, 2, level=0.95)


@given(st.integers(1, 5000), st.data())
def test_holds_the_value_inside_zero_and_one(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    result, mirrored = wilson(successes, n, level=0.95), wilson(n - successes, n, level=0.95)
    assert isinstance(result, Interval) and isinstance(mirrored, Interval)
    assert 0.0 <= result.low <= result.value <= result.high <= 1.0
    assert result.low < result.high
    assert (result.low, result.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


@pytest.mark.parametrize(("n", "p", "least"), [(30, 0.9, 0.95), (100, 0.98, 0.94), (50, 0.5, 0.93), (300, 0.7, 0.94)])
def test_covers_the_truth_as_often_as_it_says(n: int, p: float, least: float) -> None:
    """Exact coverage: the binomial probability of all counts whose interval holds p. The normal interval has 0.81 at (30, .9)."""
    counts = numpy.arange(n + 1)
    results = [wilson(int(count), n, level=0.95) for count in counts]
    holds = numpy.array([isinstance(result, Interval) and result.low <= p <= result.high for result in results])
    assert binom.pmf(counts, n, p)[holds].sum() >= least
