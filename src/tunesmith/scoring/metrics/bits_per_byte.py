"""Bits per byte: how many bits the model needs for each UTF-8 byte of the expected completions. Lower is better.

What it measures: the sum over rows of minus log2 p(completion | prompt), divided by the sum of the completions' bytes.
Comparable between models with different tokenizers, unlike perplexity per token.
Limits: needs the model's probabilities; fluent text that is wrong can score well.
Interval: BCa bootstrap over rows of the ratio of sums; comparison: paired, with approximate randomisation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy
from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class BitsPerByte:
    """The value of one Score is the row's bits, not its ratio."""

    id: ClassVar[str] = "bits-per-byte"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "bits/byte"

    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        is_finite = answer.bits is not None and math.isfinite(answer.bits) and answer.expected != ""
        note = "" if is_finite else "no finite likelihood of a completion with text"
        value = answer.bits if is_finite else None
        return Score(row_id=answer.row_id, scorer=self.id, value=value, expected=answer.expected, note=note)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=bits_per_byte, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=bits_per_byte, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 2): bits and UTF-8 bytes of each row's completion."""
        return numpy.array([(score.value, len(score.expected.encode())) for score in scores], dtype=numpy.float64)


def bits_per_byte(sums: FloatArray) -> FloatArray:
    """Ratio (r,) of summed bits and bytes (r, 2)."""
    ratio: FloatArray = sums[:, 0] / sums[:, 1]
    return ratio
