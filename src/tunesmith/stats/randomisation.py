"""Paired approximate randomisation: how often a difference as large arises when answers are swapped at random.

Source: E. Noreen (1989), Computer-intensive methods for testing hypotheses; used for corpus statistics by Riezler and
Maxwell (2005), ACL workshop on intrinsic and extrinsic evaluation measures, pages 57-64.
"""

import numpy
from numpy.random import Generator

from tunesmith.stats.bootstrap import MAX_BLOCK_DRAWS, FloatArray, Statistic


def randomisation_test(
    statistic: Statistic, samples: tuple[FloatArray, FloatArray], *, rounds: int, rng: Generator
) -> float | None:
    """Two-sided p-value of equal statistics: records (n, k) of the two systems are swapped per example with probability 1/2.

    It is (c + 1) / (rounds + 1), where c counts rounds with a difference at least as large as the observed one. None when the
    statistic is undefined in a round.
    """
    first, second = samples
    total = first.sum(axis=0) + second.sum(axis=0)

    def difference(sums: FloatArray) -> FloatArray:
        return statistic(sums) - statistic(total - sums)

    observed = abs(float(difference(first.sum(axis=0, keepdims=True))[0]))
    block = max(1, MAX_BLOCK_DRAWS // len(first))
    as_large = 0
    for start in range(0, rounds, block):
        unswapped = rng.integers(0, 2, (min(block, rounds - start), len(first))).astype(numpy.float64)
        values = difference(unswapped @ (first - second) + second.sum(axis=0))
        if not numpy.isfinite(values).all():
            return None
        # Sums in another order differ in the last bits; equal differences must still count as equal.
        as_large += int(numpy.count_nonzero(numpy.abs(values) >= observed - 1e-12 * max(1.0, observed)))
    return (as_large + 1) / (rounds + 1)
