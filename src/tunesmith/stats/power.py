"""Power of a paired comparison: the smallest detectable difference, and the number of examples needed.

Source: normal approximation, n = (z[1-a/2] + z[power])^2 s^2 / d^2, as in Miller (2024), arXiv 2411.00640, section 5.
"""

import math

from scipy.special import ndtri

DEFAULT_POWER = 0.8
"""Probability of detecting a true difference; the usual choice (Cohen 1988)."""


def minimum_detectable_difference(standard_error: float, *, level: float, power: float = DEFAULT_POWER) -> float | None:
    """The smallest true difference that is detected with this power; None where the sample has no spread."""
    return _quantile_sum(level, power) * standard_error if standard_error > 0.0 else None


def examples_needed(gap: float, deviation: float, *, level: float, power: float = DEFAULT_POWER) -> int | None:
    """Number of examples for which an interval excludes a threshold at distance `gap`, with this power.

    `deviation` is the standard deviation of one example's (paired) value. None when either is 0.
    """
    if gap == 0.0 or deviation <= 0.0:
        return None
    return math.ceil((_quantile_sum(level, power) * deviation / abs(gap)) ** 2)


def deviation_from_interval(low: float, high: float, n: int, *, level: float) -> float:
    """The standard deviation of one example, from an interval's width under the normal approximation."""
    return (high - low) / 2 / float(ndtri(0.5 + level / 2)) * math.sqrt(n)


def _quantile_sum(level: float, power: float) -> float:
    return float(ndtri(0.5 + level / 2) + ndtri(power))
