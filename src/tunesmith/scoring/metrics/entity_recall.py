"""Entity recall: the share of the expected entities that are found.

What it measures: an entity is correct when its type, first word and last word are (micro average).
Limits: a system that predicts many entities can score high; read it with entity precision.
Interval: BCa bootstrap over rows, over re-aggregated counts; comparison: paired, with approximate randomisation.
Reference: `seqeval.metrics.recall_score`, in its default mode (lenient) or with `mode="strict", scheme=IOB2` (strict).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_sums, estimate_sums
from tunesmith.scoring.entities import EntityMode, entity_count_table, entity_counts, safe_ratio
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.stats.bootstrap import FloatArray, Resampling


@METRICS.register
@dataclass(frozen=True)
class EntityRecall:
    """`entities`: how tags are read, see `tunesmith.scoring.entities`."""

    id: ClassVar[str] = "entity-recall"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    entities: EntityMode = "lenient"
    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        """The share of the row; 1 where it has no entities and none is predicted, 0 where only one side has any."""
        score = Score(row_id=answer.row_id, scorer=self.id, value=None, output=answer.output, expected=answer.expected)
        correct, predicted, expected = entity_counts(score, self.entities)
        top, bottom = correct, expected
        value = top / bottom if bottom else float(predicted == expected)
        return score.model_copy(update={"value": value})

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_sums(self, scores, statistic=_statistic, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_sums(self, pair, statistic=_statistic, how=Resampling(self.resamples, self.level), rng=rng)

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, 3): entities of each row that are correct, predicted, expected."""
        return entity_count_table(scores, self.entities)


def _statistic(sums: FloatArray) -> FloatArray:
    """The share (r,) from summed counts (r, 3)."""
    return safe_ratio(sums[:, 0], sums[:, 2])
