"""Bootstrap intervals for statistics of sums over examples: examples are resampled and their sums re-aggregated.

Sources: percentile and BCa intervals, Efron and Tibshirani (1993), An introduction to the bootstrap, chapters 13 and
14, equations 14.9 to 14.15; two independent samples as in Davison and Hinkley (1997), Bootstrap methods and their
application, section 5.4. The draws equal those of `scipy.stats.bootstrap`, so results can be compared number by number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tunesmith.stats.interval import Interval, NoInterval

FloatArray: TypeAlias = NDArray[numpy.float64]
Statistic: TypeAlias = Callable[[FloatArray], FloatArray]
"""Maps column sums (r, k) of the records of the examples to r values."""

MIN_BOOTSTRAP_EXAMPLES = 20
"""Fewer examples get no bootstrap interval: for the mean of scores that are mostly 1, nominal 95% BCa limits covered the true
value in 87% of samples of 10 and 93% of samples of 20 (1,000 samples each, 600 resamples)."""

MAX_BLOCK_DRAWS = 4_000_000
"""Indices drawn in one block, which bounds memory; the sequence of draws does not depend on it."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are computed: number of resamples, confidence level, and kind of limits."""

    resamples: int
    level: float
    method: Literal["bca", "percentile"] = "bca"


def bootstrap_interval(
    statistic: Statistic, records: FloatArray, *, how: Resampling, rng: Generator
) -> Interval | NoInterval:
    """Interval of `statistic` over examples; `records` (n, k) has one row per example."""
    if len(records) < MIN_BOOTSTRAP_EXAMPLES:
        return NoInterval(f"a bootstrap interval needs at least {MIN_BOOTSTRAP_EXAMPLES} examples", len(records))
    resampled = statistic(_resampled_sums(records, how.resamples, rng))
    jackknife = statistic(records.sum(axis=0) - records)
    value = statistic(records.sum(axis=0, keepdims=True))[0]
    return _confidence_limits(float(value), resampled, [jackknife], n=len(records), how=how)


def paired_bootstrap(
    statistic: Statistic, samples: tuple[FloatArray, FloatArray], *, how: Resampling, rng: Generator
) -> Interval | NoInterval:
    """Interval of statistic(first) - statistic(second) for paired samples (n, k): the same examples are drawn for both."""
    first, second = samples
    columns = first.shape[1]

    def difference(sums: FloatArray) -> FloatArray:
        return statistic(sums[:, :columns]) - statistic(sums[:, columns:])

    return bootstrap_interval(difference, numpy.hstack([first, second]), how=how, rng=rng)


def unpaired_bootstrap(
    statistic: Statistic, samples: tuple[FloatArray, FloatArray], *, how: Resampling, rng: Generator
) -> Interval | NoInterval:
    """Interval of statistic(first) - statistic(second) for independent samples (n, k) and (m, k)."""
    first, second = samples
    smallest = min(len(first), len(second))
    if smallest < MIN_BOOTSTRAP_EXAMPLES:
        return NoInterval(
            f"a bootstrap interval needs at least {MIN_BOOTSTRAP_EXAMPLES} examples on each side", smallest
        )
    left, right = (statistic(sample.sum(axis=0, keepdims=True))[0] for sample in samples)
    resampled = statistic(_resampled_sums(first, how.resamples, rng)) - statistic(
        _resampled_sums(second, how.resamples, rng)
    )
    jackknives = [
        statistic(first.sum(axis=0) - first) - right,
        left - statistic(second.sum(axis=0) - second),
    ]
    return _confidence_limits(float(left - right), resampled, jackknives, n=len(first) + len(second), how=how)


def _resampled_sums(records: FloatArray, resamples: int, rng: Generator) -> FloatArray:
    """Column sums (resamples, k) of samples drawn with replacement, computed as counts @ records."""
    n = len(records)
    block = max(1, MAX_BLOCK_DRAWS // n)
    sums = []
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = rng.integers(0, n, (size, n)) + numpy.arange(size)[:, None] * n
        counts = numpy.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        sums.append(counts.astype(numpy.float64) @ records)
    return numpy.vstack(sums)


def _confidence_limits(
    value: float, resampled: FloatArray, jackknives: list[FloatArray], *, n: int, how: Resampling
) -> Interval | NoInterval:
    undefined = int(numpy.count_nonzero(~numpy.isfinite(resampled)))
    if undefined or not numpy.isfinite(value) or not all(numpy.isfinite(part).all() for part in jackknives):
        return NoInterval(f"the statistic is undefined in {undefined} of {how.resamples} resamples or on the sample", n)
    if numpy.ptp(resampled) == 0.0:
        return NoInterval(f"every resample of the {n} examples gives {value:g}, so they show no spread", n)
    tails = numpy.array([0.5 - how.level / 2, 0.5 + how.level / 2])
    if how.method == "bca":
        below = (numpy.mean(resampled < value) + numpy.mean(resampled <= value)) / 2
        if not 0.0 < below < 1.0:
            return NoInterval(f"all resamples lie on one side of {value:g}, so BCa limits do not exist", n)
        tails = _bca_tails(tails, float(ndtri(below)), _acceleration(jackknives))
    low, high = numpy.quantile(resampled, tails)
    return Interval(
        value, float(low), float(high), n, how.level, float(resampled.std(ddof=1)), f"bootstrap-{how.method}"
    )


def _acceleration(jackknives: list[FloatArray]) -> float:
    """Acceleration constant, Efron and Tibshirani 14.15, summed over independent samples."""
    influences = [(len(part) - 1) * (part.mean() - part) for part in jackknives]
    cubes = sum(float((part**3).sum()) / len(part) ** 3 for part in influences)
    squares = sum(float((part**2).sum()) / len(part) ** 2 for part in influences)
    return cubes / (6.0 * squares**1.5) if squares > 0.0 else 0.0


def _bca_tails(tails: FloatArray, bias: float, acceleration: float) -> FloatArray:
    """Quantiles of the BCa limits, Efron and Tibshirani 14.10."""
    shifted = bias + ndtri(tails)
    adjusted: FloatArray = ndtr(bias + shifted / (1.0 - acceleration * shifted))
    return adjusted
