"""Scoring: what one answer is worth (Score), what many are worth (Estimate), and what sets two systems apart (Comparison)."""

from tunesmith.scoring.catalogue import metric_class, metric_ids, metrics_for
from tunesmith.scoring.metric import METRICS, Answer, Metric, Pair

__all__ = ["METRICS", "Answer", "Metric", "Pair", "metric_class", "metric_ids", "metrics_for"]
