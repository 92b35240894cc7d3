"""Spearman correlation: how far the predicted numbers put the rows in the order of the expected ones.

What it measures: Pearson's r between the ranks of outputs and of expected numbers; 0 where one side does not vary.
Limits: does not measure the size of errors. Ranks are computed over all rows, also within a resample.
Interval: BCa bootstrap over rows; comparison: paired, with approximate randomisation.
Reference: `scipy.stats.spearmanr` gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.numbers import column_ranks, correlation, error_score, moments, number_pairs
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class Spearman:
    """Outputs and expected completions are numbers."""

    id: ClassVar[str] = "spearman"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = ""

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return error_score(self.id, answer)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=correlation, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=correlation, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 6): moments of both ranks."""
        return moments(column_ranks(number_pairs(scores)))
