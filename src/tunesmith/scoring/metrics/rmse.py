"""Root mean square error: how far the predicted number is from the expected one, large errors weighing more.

What it measures: the square root of the mean over rows of the squared difference.
Limits: a single large error can dominate it; in the units of the rows.
Interval: BCa bootstrap over rows; comparison: paired, with approximate randomisation.
Reference: `sklearn.metrics.root_mean_squared_error` gives the same value.
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
class Rmse:
    """Outputs and expected completions are numbers."""

    id: ClassVar[str] = "rmse"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return error_score(self.id, answer)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(
            self, scores, statistic=root_mean_square_error, how=Resampling(self.resamples, self.level), rng=rng
        )

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(
            self, pair, statistic=root_mean_square_error, how=Resampling(self.resamples, self.level), rng=rng
        )

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 2): the squared error of a row, and 1."""
        x, y = number_pairs(scores).T
        return numpy.column_stack([(x - y) ** 2, numpy.ones_like(x)])


def root_mean_square_error(sums: FloatArray) -> FloatArray:
    """The root mean square error (r,) from sums (r, 2)."""
    error: FloatArray = numpy.sqrt(sums[:, 0] / sums[:, 1])
    return error
