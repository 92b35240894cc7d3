"""Aggregation of scores, shared by metrics. Every result is an Estimate with an interval, or Insufficient."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy
from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.registry import signature
from tunesmith.scoring.metric import Metric, PairedScores
from tunesmith.stats import mcnemar
from tunesmith.stats.bootstrap import (
    MIN_BOOTSTRAP_EXAMPLES,
    FloatArray,
    Resampling,
    Statistic,
    bootstrap_interval,
    paired_bootstrap,
)
from tunesmith.stats.interval import Interval, NoInterval
from tunesmith.stats.paired import constant_interval, mean_interval, proportion_difference, t_test
from tunesmith.stats.power import minimum_detectable_difference
from tunesmith.stats.randomisation import randomisation_test
from tunesmith.stats.wilson import wilson

DECIMALS = 9
"""Decimals that a reported number keeps: the last bits of a sum depend on the machine, and the report's digest must not."""


def no_estimate_reason(metric: Metric, scores: Sequence[Score]) -> NoInterval | None:
    """Why these scores have no estimate; None when they have one."""
    missing = [score for score in scores if score.value is None]
    if not scores:
        return NoInterval("there are no examples", 0)
    if missing:
        first = missing[0]
        reason = f"{len(missing)} of {len(scores)} test rows cannot be scored; first {first.row_id}: {first.note}"
        return NoInterval(reason, len(scores))
    return None


def score_values(scores: Sequence[Score]) -> FloatArray:
    """The values (n,) of scores for which `no_estimate_reason` is None."""
    return numpy.array([score.value for score in scores], dtype=numpy.float64)


def to_evidence(metric: Metric, result: Interval | NoInterval) -> Estimate | Insufficient:
    """An interval as an Estimate with the metric's name and signature; NoInterval as Insufficient."""
    metric_signature = signature(metric)
    match result:
        case Interval():
            return Estimate(
                metric=metric.id,
                value=round(result.value, DECIMALS),
                low=round(result.low, DECIMALS),
                high=round(result.high, DECIMALS),
                n=result.n,
                level=result.level,
                unit=metric.unit,
                signature=f"{metric_signature}|interval={result.method}",
            )
        case NoInterval():
            return Insufficient(metric=metric.id, reason=result.reason, n=result.n, signature=metric_signature)


def estimate_proportion(metric: Metric, scores: Sequence[Score], *, level: float) -> Estimate | Insufficient:
    """Share of examples with value 1, with a Wilson interval."""
    reason = no_estimate_reason(metric, scores)
    return to_evidence(metric, reason or wilson(round(score_values(scores).sum()), len(scores), level=level))


def compare_proportions(metric: Metric, pair: PairedScores, *, level: float) -> Comparison:
    """Difference of two shares on the same rows, with Tango's interval and McNemar's exact test."""
    reason = no_estimate_reason(metric, pair.tuned) or no_estimate_reason(metric, pair.reference)
    if reason:
        return to_comparison(metric, pair, reason, p_value=None)
    gaps = score_values(pair.tuned) - score_values(pair.reference)
    won, lost = int((gaps > 0).sum()), int((gaps < 0).sum())
    result = proportion_difference(won, lost, len(gaps), level=level)
    return to_comparison(metric, pair, result, p_value=mcnemar.exact(won, lost))


def estimate_mean(
    metric: Metric, scores: Sequence[Score], *, bounds: tuple[float, float], how: Resampling, rng: Generator
) -> Estimate | Insufficient:
    """Mean of the values with a bootstrap interval over rows; `constant_interval` where all values are equal."""
    reason = no_estimate_reason(metric, scores)
    if reason:
        return to_evidence(metric, reason)
    sample = score_values(scores)
    if numpy.ptp(sample) == 0.0:
        return to_evidence(metric, constant_interval(float(sample[0]), len(sample), bounds=bounds, level=how.level))
    records = numpy.column_stack([sample, numpy.ones_like(sample)])
    return to_evidence(metric, bootstrap_interval(_mean_of_sums, records, how=how, rng=rng))


def compare_means(metric: Metric, pair: PairedScores, *, bounds: tuple[float, float], level: float) -> Comparison:
    """Mean paired difference with Student's t interval and test; `bounds` (lowest, highest) limit the value of one example."""
    reason = no_estimate_reason(metric, pair.tuned) or no_estimate_reason(metric, pair.reference)
    if reason:
        return to_comparison(metric, pair, reason, p_value=None)
    gaps = score_values(pair.tuned) - score_values(pair.reference)
    if numpy.ptp(gaps) == 0.0:
        width = bounds[1] - bounds[0]
        result = constant_interval(float(gaps[0]), len(gaps), bounds=(-width, width), level=level)
        return to_comparison(metric, pair, result, p_value=None)
    return to_comparison(metric, pair, mean_interval(gaps, level=level), p_value=t_test(gaps))


@runtime_checkable
class SumBasedMetric(Metric, Protocol):
    """A metric that is a statistic of sums over rows."""

    def records(self, scores: Sequence[Score]) -> FloatArray:
        """(n, k): what each row adds to the sums."""
        ...


def min_interval_rows(metric: Metric) -> int:
    """Fewest rows with which a metric can have an interval."""
    return MIN_BOOTSTRAP_EXAMPLES if isinstance(metric, SumBasedMetric) else 1


def estimate_sums(
    metric: SumBasedMetric, scores: Sequence[Score], *, statistic: Statistic, how: Resampling, rng: Generator
) -> Estimate | Insufficient:
    """A statistic of sums over rows, with a bootstrap interval."""
    reason = no_estimate_reason(metric, scores)
    return to_evidence(metric, reason or bootstrap_interval(statistic, metric.records(scores), how=how, rng=rng))


def compare_sums(
    metric: SumBasedMetric, pair: PairedScores, *, statistic: Statistic, how: Resampling, rng: Generator
) -> Comparison:
    """Difference of a statistic of sums on the same rows, with a paired bootstrap and approximate randomisation."""
    reason = no_estimate_reason(metric, pair.tuned) or no_estimate_reason(metric, pair.reference)
    if reason:
        return to_comparison(metric, pair, reason, p_value=None)
    records = (metric.records(pair.tuned), metric.records(pair.reference))
    result = paired_bootstrap(statistic, records, how=how, rng=rng)
    p_value = (
        randomisation_test(statistic, records, rounds=how.resamples, rng=rng) if isinstance(result, Interval) else None
    )
    return to_comparison(metric, pair, result, p_value=p_value)


def to_comparison(
    metric: Metric, pair: PairedScores, result: Interval | NoInterval, *, p_value: float | None
) -> Comparison:
    """The Comparison of two systems; won, lost and tied count rows whose own score is better, worse or equal."""
    direction = 1 if metric.higher_is_better else -1
    gaps = [
        (tuned.value - reference.value) * direction
        for tuned, reference in zip(pair.tuned, pair.reference, strict=True)
        if tuned.value is not None and reference.value is not None
    ]
    detectable = (
        minimum_detectable_difference(result.standard_error, level=result.level)
        if isinstance(result, Interval)
        else None
    )
    return Comparison(
        metric=metric.id,
        reference=pair.system,
        difference=to_evidence(metric, result),
        p_value=None if p_value is None else float(f"{p_value:.{DECIMALS}g}"),
        minimum_detectable=None if detectable is None else round(detectable, DECIMALS),
        won=sum(gap > 0 for gap in gaps),
        lost=sum(gap < 0 for gap in gaps),
        tied=sum(gap == 0 for gap in gaps),
    )


def _mean_of_sums(sums: FloatArray) -> FloatArray:
    ratio: FloatArray = sums[:, 0] / sums[:, 1]
    return ratio
