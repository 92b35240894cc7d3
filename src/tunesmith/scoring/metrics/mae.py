"""Mean absolute error: how far the predicted number is from the expected one, on average.

What it measures: the mean over rows of the absolute difference.
Limits: in the units of the rows; does not measure whether the order is right.
Interval: BCa bootstrap over rows; comparison: paired, with approximate randomisation.
Reference: `sklearn.metrics.mean_absolute_error` gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy
from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.numbers import error_score, number_pairs
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class Mae:
    """Outputs and expected completions are numbers."""

    id: ClassVar[str] = "mae"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return error_score(self.id, answer)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(
            self, scores, statistic=mean_absolute_error, how=Resampling(self.resamples, self.level), rng=rng
        )

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(
            self, pair, statistic=mean_absolute_error, how=Resampling(self.resamples, self.level), rng=rng
        )

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 2): the absolute error of a row, and 1."""
        x, y = number_pairs(scores).T
        return numpy.column_stack([numpy.abs(x - y), numpy.ones_like(x)])


def mean_absolute_error(sums: FloatArray) -> FloatArray:
    """The mean absolute error (r,) from sums (r, 2)."""
    error: FloatArray = sums[:, 0] / sums[:, 1]
    return error
