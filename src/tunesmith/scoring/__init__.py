"""Scoring: the score of one answer (Score), of many (Estimate), and the difference of two systems (Comparison)."""

from tunesmith.scoring.catalogue import metric_class, metric_ids, metrics_for
from tunesmith.scoring.metric import METRICS, Metric, PairedScores, SystemAnswer

__all__ = ["METRICS", "SystemAnswer", "Metric", "PairedScores", "metric_class", "metric_ids", "metrics_for"]
