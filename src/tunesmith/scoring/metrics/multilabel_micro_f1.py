"""Multi-label micro F1: F1 over all pairs of a row and a label.

What it measures: F1 = 2 tp / (expected + predicted), summed over rows and over the labels that are expected anywhere.
Limits: common labels weigh most; a predicted label that no row expects is not counted.
Interval: BCa bootstrap over rows, over re-aggregated counts; comparison: paired, with approximate randomisation.
Reference: `sklearn.metrics.f1_score(average="micro")` over indicator columns of the expected labels gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.label_sets import label_counts, label_set_score, micro_f1
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class MultilabelMicroF1:
    """Outputs and expected completions are JSON lists of labels."""

    id: ClassVar[str] = "multilabel-micro-f1"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return label_set_score(self.id, answer)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=micro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=micro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 3 L): per row and label expected in any row, whether it is correct, expected, predicted."""
        return label_counts(scores)
