"""Scores of the tuned model per entity type. A micro average would hide a rare type that is never predicted."""

from collections.abc import Sequence

from tunesmith.artifacts import EntityTypeScores, Score
from tunesmith.context import Context
from tunesmith.scoring import SystemAnswer
from tunesmith.scoring.entities import entity_count_table, entity_types_in, keep_entity_type
from tunesmith.scoring.metrics.entity_f1 import EntityF1


def score_entity_types(scores: Sequence[Score], metric: EntityF1, context: Context) -> tuple[EntityTypeScores, ...]:
    """One entry per entity type, in alphabetical order. `scores` are those of the metric on every test row."""
    kinds = sorted({kind for score in scores for kind in entity_types_in(score, metric.entities)})
    return tuple(_score_type(kind, scores, metric, context) for kind in kinds)


def _score_type(kind: str, scores: Sequence[Score], metric: EntityF1, context: Context) -> EntityTypeScores:
    """The same metric, restricted to the tags of one type."""
    own = [
        metric.score(
            SystemAnswer(score.row_id, keep_entity_type(score.expected, kind), keep_entity_type(score.output, kind))
        )
        for score in scores
    ]
    right, predicted, support = entity_count_table(own, metric.entities).sum(axis=0).astype(int).tolist()
    f1 = metric.estimate(own, context.rng(f"evaluate/{metric.id}/tuned/{kind}"))
    return EntityTypeScores(kind=kind, right=right, predicted=predicted, support=support, f1=f1)
