"""Scoring: what one answer is worth (Score), what many are worth (Estimate), and what sets two systems apart (Comparison)."""

from tunesmith.scoring.catalogue import metric_class, metric_ids, metrics_for
from tunesmith.scoring.metric import METRICS, Metric, PairedScores, SystemAnswer

__all__ = ["METRICS", "SystemAnswer", "Metric", "PairedScores", "metric_class", "metric_ids", "metrics_for"]
