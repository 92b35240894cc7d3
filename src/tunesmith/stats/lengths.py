"""Summary of integers: minimum, median, 95th percentile, maximum, and a histogram."""

from typing import Final

import numpy
import numpy.typing as npt

from tunesmith.artifacts import Bin, Lengths

MAX_BINS: Final = 10


def summarize_lengths(values: npt.NDArray[numpy.int64]) -> Lengths:
    """Summary of `values` (n,), n at least 1, with a histogram of at most MAX_BINS equally wide bins."""
    ordered = numpy.sort(values)
    least, most = int(ordered[0]), int(ordered[-1])
    width = -(-(most - least + 1) // MAX_BINS)
    counts = numpy.bincount((ordered - least) // width)
    bins = tuple(
        Bin(low=low, high=min(low + width - 1, most), count=int(count))
        for low, count in zip(range(least, most + 1, width), counts, strict=True)
    )
    median, p95 = (int(ordered[-(-len(ordered) * share // 100) - 1]) for share in (50, 95))
    return Lengths(least=least, median=median, p95=p95, most=most, bins=bins)
