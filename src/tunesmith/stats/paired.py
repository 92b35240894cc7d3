"""Paired differences of two systems on the same examples: of means (t) and of proportions (Tango's score interval).

Sources: Student's t on the differences, as in Miller (2024), Adding error bars to evals, arXiv 2411.00640, section 4.2;
T. Tango (1998), Equivalence test and confidence interval for the difference in proportions for the paired-sample
design, Statistics in Medicine 17:891-908. Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33:2850-2875,
find its coverage close to nominal from small samples on; it agrees with McNemar's test and needs only n and the
discordant counts, so it has width even where no pair is discordant.
"""

import math

import numpy
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from tunesmith.stats.interval import Interval, NoInterval

BISECTIONS = 60
"""Bisections of a range of at most 2: limits are exact to about 2e-18, below the spacing of floats near them."""


def mean_interval(values: ArrayLike, *, level: float) -> Interval | NoInterval:
    """Student's t interval of the mean of `values` (n,), e.g. of paired differences; NoInterval without two values or spread."""
    sample = numpy.asarray(values, dtype=numpy.float64)
    n = len(sample)
    if n < 2:
        return NoInterval("an interval of a mean needs at least two examples", n)
    if numpy.ptp(sample) == 0.0:
        return NoInterval(f"all {n} values are the same, so they show no spread", n)
    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * error
    return Interval(mean, mean - half, mean + half, n, level, error, "student-t")


def t_test(values: ArrayLike) -> float | None:
    """Two-sided p-value of the hypothesis that the mean of `values` (n,) is 0; None where there is no spread."""
    interval = mean_interval(values, level=0.95)
    match interval:
        case Interval(value=mean, standard_error=error, n=n):
            return float(2.0 * stdtr(n - 1, -abs(mean) / error))
        case _:
            return None


def constant_interval(value: float, n: int, *, bounds: tuple[float, float], level: float) -> Interval | NoInterval:
    """Interval of the mean of a quantity within `bounds`, when all n observations equal `value`.

    With confidence `level` an observation differs with probability at most q = 1 - (1 - level)^(1/n) (Clopper and
    Pearson 1934, Biometrika 26:404-413, no event in n trials), and then lies between the bounds; so the mean is in
    [value - q (value - lowest), value + q (highest - value)]. Valid for any distribution.
    """
    if n < 1:
        return NoInterval("there are no examples", n)
    lowest, highest = bounds
    q = -math.expm1(math.log1p(-level) / n)
    return Interval(value, value - q * (value - lowest), value + q * (highest - value), n, level, 0.0, "constant")


def proportion_difference(won: int, lost: int, n: int, *, level: float) -> Interval | NoInterval:
    """Tango's interval of p(first) - p(second) from n pairs; only the first succeeded in `won`, only the second in `lost`."""
    if n < 1:
        return NoInterval("there are no examples", n)
    if min(won, lost) < 0 or won + lost > n:
        raise ValueError(f"impossible counts: {won} won and {lost} lost of {n} pairs")
    z = float(ndtri(0.5 + level / 2))
    value = (won - lost) / n
    low = -1.0 if lost == n else _score_crossing(won, lost, n=n, z=z)
    high = 1.0 if won == n else -_score_crossing(lost, won, n=n, z=z)
    spread = math.sqrt(max(won + lost - (won - lost) ** 2 / n, 0.0)) / n
    return Interval(value, low, high, n, level, spread, "tango")


def _score_crossing(won: int, lost: int, *, n: int, z: float) -> float:
    """The difference, below the observed one, at which Tango's score statistic equals z; by bisection."""
    below, above = -1.0, (won - lost) / n
    for _ in range(BISECTIONS):
        middle = (below + above) / 2
        if _tango_score(won, lost, n=n, difference=middle) > z:
            below = middle
        else:
            above = middle
    return (below + above) / 2


def _tango_score(won: int, lost: int, *, n: int, difference: float) -> float:
    """Tango's statistic for the hypothesis p(first) - p(second) = difference (1998, section 3)."""
    b = (2 * n - won + lost) * difference - won - lost
    c = -lost * difference * (1 - difference)
    q = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    excess = won - lost - n * difference
    return math.inf if variance <= 0.0 else excess / math.sqrt(variance)
