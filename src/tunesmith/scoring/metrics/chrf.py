"""chrF: how much of the expected reply's character n-grams the output has, and the other way round (0 to 100).

What it measures: F2 of precision and recall of character n-grams, n = 1 to 6, without white space (Popović 2015,
WMT 10:392-395). One example gets sacrebleu's sentence score; many get the corpus score, which is not the mean of sentence scores.
Limits: rewards shared spelling, not shared meaning; a good reply in other words scores low. An output whose reply cannot be
parsed counts as empty.
Interval: BCa bootstrap over rows, n-gram counts re-aggregated; comparison: paired, with approximate randomisation.
Reference: sacrebleu `CHRF()`; its version is part of ours, and the counts here give its corpus score to the last bits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy
import sacrebleu
from numpy.random import Generator
from sacrebleu.metrics.chrf import CHRF

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.parse_output import read_reply
from tunesmith.stats.bootstrap import FloatArray, Resampling

NGRAM_ORDERS: Final = range(1, 7)
BETA_SQUARED: Final = 4.0


@METRICS.register
@dataclass(frozen=True)
class Chrf:
    """`reply`: key of the completion's JSON to read; the whole completion when None."""

    id: ClassVar[str] = "chrf"
    version: ClassVar[str] = f"1+sacrebleu-{sacrebleu.__version__}"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "points"

    reply: str | None = None
    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        expected, output = read_reply(answer.expected, self.reply), read_reply(answer.output, self.reply)
        value = None if expected is None else CHRF().sentence_score(output or "", [expected]).score
        note = "the expected completion has no reply" if expected is None else ""
        note = "no reply in the output" if expected is not None and output is None else note
        return Score(
            row_id=answer.row_id, scorer=self.id, value=value, output=answer.output, expected=answer.expected, note=note
        )

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=corpus_chrf, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=corpus_chrf, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 18): for each row and order, n-grams of the output, of the expected reply, and shared."""
        texts = [
            (read_reply(score.output, self.reply) or "", read_reply(score.expected, self.reply) or "")
            for score in scores
        ]
        return numpy.array([_ngram_counts(output, expected) for output, expected in texts], dtype=numpy.float64)


def corpus_chrf(sums: FloatArray) -> FloatArray:
    """chrF (r,) in points from summed n-gram counts (r, 18); orders that one side lacks are ignored, as in sacrebleu."""
    output, expected, shared = sums.reshape(len(sums), len(NGRAM_ORDERS), 3).transpose(2, 0, 1)
    usable = (output > 0) & (expected > 0)
    orders = numpy.maximum(usable.sum(axis=1), 1)
    precision = numpy.divide(shared, output, out=numpy.zeros_like(shared), where=usable).sum(axis=1) / orders
    recall = numpy.divide(shared, expected, out=numpy.zeros_like(shared), where=usable).sum(axis=1) / orders
    bottom = BETA_SQUARED * precision + recall
    top = 100.0 * (1.0 + BETA_SQUARED) * precision * recall
    points: FloatArray = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 0)
    return points


def _ngram_counts(output: str, expected: str) -> list[int]:
    output, expected = "".join(output.split()), "".join(expected.split())
    counts: list[int] = []
    for order in NGRAM_ORDERS:
        first, second = _ngrams(output, order), _ngrams(expected, order)
        # n-grams of an output count only where the expected reply is long enough to have any of that order
        counts += [first.total() if second else 0, second.total(), (first & second).total()]
    return counts


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
