"""Multi-label macro F1: the mean over labels of the F1 score of each label.

What it measures: F1 = 2 tp / (expected + predicted) of every label that is expected anywhere, all labels weighing the same.
Limits: a rare label weighs as much as a common one; a predicted label that no row expects is not counted.
Interval: BCa bootstrap over rows, over re-aggregated counts; comparison: paired, with approximate randomisation.
Reference: `sklearn.metrics.f1_score(average="macro")` over indicator columns of the expected labels gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.label_sets import label_counts, label_set_score, macro_f1
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class MultilabelMacroF1:
    """Outputs and expected completions are JSON lists of labels."""

    id: ClassVar[str] = "multilabel-macro-f1"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return label_set_score(self.id, answer)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=macro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=macro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 3 L): per row and label expected in any row, whether it is correct, expected, predicted."""
        return label_counts(scores)
