"""Paired differences: t against statsmodels, Tango against the literature, coverage by simulation."""

from functools import cache

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.stats.interval import Interval, NoInterval
from tunesmith.stats.paired import constant_interval, mean_interval, proportion_difference, t_test

GAPS = [0.25, 0.5, 0, -0.25, 0.75, 0, 0.5, 0.25, 1, -0.5]


def test_mean_equals_statsmodels() -> None:
    """statsmodels 0.15.0: DescrStatsW(GAPS).tconfint_mean() and .ttest_mean()."""
    result = mean_interval(GAPS, level=0.95)
    assert isinstance(result, Interval)
    assert (result.value, result.low, result.high) == pytest.approx(
        (0.25, -0.07651426172269589, 0.5765142617226959), abs=1e-12
    )
    assert t_test(GAPS) == pytest.approx(0.11730680301423821, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "an interval of a mean needs at least two examples"),
        ([1.0], "an interval of a mean needs at least two examples"),
        ([0.5, 0.5, 0.5], "all 3 values are the same, so they show no spread"),
    ],
)
def test_too_little_to_go_by(values: list[float], reason: str) -> None:
    assert mean_interval(values, level=0.95) == NoInterval(reason, len(values))
    assert t_test(values) is None


@pytest.mark.parametrize(
    ("won", "lost", "n", "low", "high"),
    [
        # Fagerland, Lydersen and Laake (2014), airway hyper-responsiveness before and after transplantation
        (1, 7, 21, -0.517, -0.026),
        # closed form for no discordant pair: z^2 / (n + z^2)
        (0, 0, 30, -0.11351339317396872, 0.11351339317396872),
    ],
)
def test_tango_equals_the_literature(won: int, lost: int, n: int, low: float, high: float) -> None:
    result = proportion_difference(won, lost, n, level=0.95)
    assert isinstance(result, Interval)
    assert (result.low, result.high) == pytest.approx((low, high), abs=5e-4)
    assert result.method == "tango"


def test_tango_agrees_with_the_asymptotic_mcnemar_test_at_zero() -> None:
    """The score statistic at 0 is (won - lost) / sqrt(won + lost); 1.96 lies between those of these two tables."""
    out, inside = proportion_difference(15, 5, 60, level=0.95), proportion_difference(14, 6, 60, level=0.95)
    assert isinstance(out, Interval) and isinstance(inside, Interval)
    assert out.low > 0 > inside.low


def test_tango_of_nothing_and_of_nonsense() -> None:
    assert proportion_difference(0, 0, 0, level=0.95) == NoInterval("there are no examples", 0)
    with pytest.raises(ValueError, match="4 won and 3 lost of 5 pairs"):
        proportion_difference(4, 3, 5, level=0.95)


@given(st.integers(1, 400), st.data())
def test_tango_is_ordered_bounded_and_antisymmetric(n: int, data: st.DataObject) -> None:
    won = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - won))
    result, turned = proportion_difference(won, lost, n, level=0.95), proportion_difference(lost, won, n, level=0.95)
    assert isinstance(result, Interval) and isinstance(turned, Interval)
    assert -1.0 <= result.low <= result.value <= result.high <= 1.0
    assert result.low < result.high
    assert (result.low, result.high) == pytest.approx((-turned.high, -turned.low), abs=1e-12)


@pytest.mark.parametrize(
    ("win", "lose", "n", "least"), [(0.15, 0.05, 100, 0.93), (0.04, 0.01, 100, 0.93), (0.3, 0.1, 30, 0.93)]
)
def test_tango_covers_the_truth(win: float, lose: float, n: int, least: float) -> None:
    rng = numpy.random.default_rng(1998)
    tables = rng.multinomial(n, [win, lose, 1 - win - lose], size=4000)
    covered = sum(_holds(int(won), int(lost), n, win - lose) for won, lost, _ in tables)
    assert covered / len(tables) >= least


@cache
def _holds(won: int, lost: int, n: int, truth: float) -> bool:
    result = proportion_difference(won, lost, n, level=0.95)
    return isinstance(result, Interval) and result.low <= truth <= result.high


def test_t_covers_the_truth() -> None:
    rng = numpy.random.default_rng(1908)
    gaps = rng.choice([-0.5, 0.0, 0.25, 1.0], p=[0.1, 0.5, 0.2, 0.2], size=(2000, 60))
    results = [mean_interval(sample, level=0.95) for sample in gaps]
    covered = [isinstance(result, Interval) and result.low <= 0.2 <= result.high for result in results]
    assert numpy.mean(covered) >= 0.93


def test_constant_values_are_bounded_by_what_was_not_seen() -> None:
    """No exception in 60 examples: its probability is at most 1 - 0.05^(1/60) = 0.0487 (the rule of three says 0.05)."""
    result = constant_interval(1.0, 60, bounds=(0.0, 1.0), level=0.95)
    assert isinstance(result, Interval)
    assert (result.value, result.high) == (1.0, 1.0)
    assert result.low == pytest.approx(0.05 ** (1 / 60), abs=1e-12)
    both = constant_interval(0.0, 60, bounds=(-1.0, 1.0), level=0.95)
    assert isinstance(both, Interval)
    assert (both.low, both.high) == pytest.approx((-(1 - 0.05 ** (1 / 60)), 1 - 0.05 ** (1 / 60)), abs=1e-12)
    assert constant_interval(0.0, 0, bounds=(0.0, 1.0), level=0.95) == NoInterval("there are no examples", 0)
