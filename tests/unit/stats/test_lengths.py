"""Whole numbers at a glance, by hand."""

import numpy

from tunesmith.artifacts import Bin, Lengths
from tunesmith.stats.lengths import summarize_lengths


def test_lengths_are_nearest_ranks_and_bins_cover_them() -> None:
    made = summarize_lengths(numpy.array([5, 1, 3, 30]))
    assert (made.least, made.median, made.p95, made.most) == (1, 3, 30, 30)
    assert made.bins[0] == Bin(low=1, high=3, count=2)
    assert (len(made.bins), sum(one.count for one in made.bins)) == (10, 4)
    assert summarize_lengths(numpy.array([7])) == Lengths(
        least=7, median=7, p95=7, most=7, bins=(Bin(low=7, high=7, count=1),)
    )
