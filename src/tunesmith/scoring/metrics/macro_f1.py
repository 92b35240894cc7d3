"""Macro F1: the mean over labels of the F1 score of each label.

What it measures: the unweighted mean of F1 = 2 tp / (expected + predicted) over the labels that are expected in some row. An
output without a readable label misses the expected label and predicts none.
Why it matters: a model that ignores rare labels keeps its accuracy, but scores low here.
Limits: no interval where every resample gives the same value (all right, or all wrong).
Interval: BCa bootstrap over rows, over re-aggregated counts; comparison: paired, with approximate randomisation.
Reference: `sklearn.metrics.f1_score(average="macro", labels=<expected labels>)` gives the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy
from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.metrics.exact_match import label_score
from tunesmith.scoring.parse_output import read_label
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class MacroF1:
    """`label`: key of the completion's JSON to read; the whole completion when None."""

    id: ClassVar[str] = "macro-f1"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    label: str | None = None
    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        return label_score(self.id, answer, self.label)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=macro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=macro_f1, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 3 L): per row and label expected in any row, whether it is correct, expected, predicted."""
        expected = [read_label(score.expected, self.label) or "" for score in scores]
        predicted = [read_label(score.output, self.label) for score in scores]
        place = {label: index for index, label in enumerate(sorted(set(expected)))}
        table = numpy.zeros((len(scores), 3, len(place)))
        for row, (wanted, output) in enumerate(zip(expected, predicted, strict=True)):
            table[row, 1, place[wanted]] = 1.0
            if output is not None and output in place:
                table[row, 2, place[output]] = 1.0
                table[row, 0, place[wanted]] = float(output == wanted)
        return table.reshape(len(scores), -1)


def macro_f1(sums: FloatArray) -> FloatArray:
    """Macro F1 (r,) from sums (r, 3 L) over the labels that are expected at least once in the resample."""
    correct, expected, predicted = sums.reshape(len(sums), 3, -1).transpose(1, 0, 2)
    present = expected > 0
    total = expected + predicted
    scores = numpy.divide(2 * correct, total, out=numpy.zeros_like(total), where=total > 0)
    return numpy.asarray((scores * present).sum(axis=1) / present.sum(axis=1), dtype=numpy.float64)
