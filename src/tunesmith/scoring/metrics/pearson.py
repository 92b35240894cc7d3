"""Pearson correlation: how far the predicted numbers rise and fall in a line with the expected ones.

What it measures: Pearson's r between outputs and expected numbers; 0 where one side does not vary.
Limits: a shift or a scale of all predictions does not change it; read it with mae.
Interval: BCa bootstrap over rows; comparison: paired, with approximate randomisation.
Reference: `scipy.stats.pearsonr` gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.numbers import correlation, error_score, moments, number_pairs
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class Pearson:
    """Outputs and expected completions are numbers."""

    id: ClassVar[str] = "pearson"
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
        """(n, 6): moments of both numbers."""
        return moments(number_pairs(scores))
