"""Evaluation results line by line, shared by the cards, the HTML page and the statements."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.artifacts import Comparison, Estimate, EvaluationReport, Evidence, Insufficient
from tunesmith.release import wording
from tunesmith.release.gate import BASE_SYSTEMS, TUNED_SYSTEM
from tunesmith.scoring import metric_class

ComparisonReading = Literal["better", "worse", "no clear difference", "cannot be said"]


@dataclass(frozen=True)
class MetricLine:
    """A metric: title, meaning (from its manual page) and direction."""

    id: str
    title: str
    meaning: str
    higher_is_better: bool


@dataclass(frozen=True)
class SystemLine:
    """One system on one metric. `note` says why there is no estimate."""

    system: str
    name: str
    how: str
    estimate: Estimate | None
    value: str
    interval: str
    n: int
    note: str


@dataclass(frozen=True)
class ComparisonLine:
    """The difference tuned minus reference on one metric."""

    metric: str
    reference: str
    name: str
    reading: ComparisonReading
    difference: str
    interval: str
    p_value: str
    n: int
    detectable: str
    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class MetricResults:
    """All results for one metric."""

    metric: MetricLine
    systems: tuple[SystemLine, ...]
    comparisons: tuple[ComparisonLine, ...]


def results_by_metric(evaluation: EvaluationReport) -> tuple[MetricResults, ...]:
    """Results grouped by metric, in the order of the first system's estimates."""
    names = dict.fromkeys(estimate.metric for system in evaluation.systems for estimate in system.estimates)
    return tuple(
        MetricResults(
            metric=describe_metric(name),
            systems=tuple(
                _system_line(system.system, system.how, estimate)
                for system in evaluation.systems
                for estimate in system.estimates
                if estimate.metric == name
            ),
            comparisons=tuple(_comparison_line(item) for item in evaluation.comparisons if item.metric == name),
        )
        for name in names
    )


def describe_metric(name: str) -> MetricLine:
    """Title and meaning from the first line of the metric's manual page, `Title: what it measures.`"""
    metric = metric_class(name)
    manual = (sys.modules[metric.__module__].__doc__ or "").strip().splitlines()
    title, _, meaning = (manual[0] if manual else name).partition(": ")
    return MetricLine(name, title, meaning[:1].upper() + meaning[1:].rstrip("."), metric.higher_is_better)


def comparison_reading(comparison: Comparison) -> ComparisonReading:
    """Read the interval of a difference in the metric's direction."""
    difference = comparison.difference
    if isinstance(difference, Insufficient):
        return "cannot be said"
    if difference.low <= 0.0 <= difference.high:
        return "no clear difference"
    return "better" if (difference.low > 0.0) == metric_class(comparison.metric).higher_is_better else "worse"


def stronger_base(results: MetricResults) -> SystemLine | None:
    """The best base system by this metric."""
    base_lines = [
        (line.estimate.value, line) for line in results.systems if line.system in BASE_SYSTEMS and line.estimate
    ]
    if not base_lines:
        return None
    return (max if results.metric.higher_is_better else min)(base_lines, key=lambda pair: pair[0])[1]


def find_system_line(results: MetricResults, system: str) -> SystemLine | None:
    """Line of one system, or None if it was not evaluated."""
    return next((line for line in results.systems if line.system == system), None)


def headline_sentence(results: Sequence[MetricResults]) -> str:
    """The tuned model against the best base on the first metric that compares them, in one sentence."""
    for item in results:
        tuned, base = find_system_line(item, TUNED_SYSTEM), stronger_base(item)
        if tuned is None or tuned.estimate is None or base is None:
            continue
        title = (
            item.metric.title
            if item.metric.title[:2].isupper()
            else item.metric.title[0].lower() + item.metric.title[1:]
        )
        match = next((line for line in item.comparisons if line.reference == base.system), None)
        level = f"{tuned.estimate.level:.0%}"
        difference = "" if match is None else f" ({match.difference}, {level} interval {match.interval})"
        return (
            f"On {wording.count_noun(tuned.n, 'held-out example')} that it never saw in training, the tuned model reaches "
            f"{tuned.value} by {title}; its base, at its best without tuning, reaches {base.value}{difference}."
        )
    return "The evaluation holds no number that compares the tuned model with its base."


def _system_line(system: str, how: str, evidence: Evidence) -> SystemLine:
    name = wording.system_name(system)
    if isinstance(evidence, Insufficient):
        return SystemLine(system, name, how, None, "no number", "", evidence.n, evidence.reason)
    value = wording.format_value(evidence.value, evidence.unit)
    return SystemLine(system, name, how, evidence, value, wording.format_interval(evidence), evidence.n, "")


def _comparison_line(item: Comparison) -> ComparisonLine:
    difference = item.difference
    if isinstance(difference, Insufficient):
        text, interval, unit = "no number", difference.reason, ""
    else:
        text, interval, unit = (
            wording.format_difference(difference.value, difference.unit),
            wording.format_difference_interval(difference),
            difference.unit,
        )
    detectable = item.minimum_detectable
    return ComparisonLine(
        metric=item.metric,
        reference=item.reference,
        name=wording.system_name(item.reference),
        reading=comparison_reading(item),
        difference=text,
        interval=interval,
        p_value=wording.format_p_value(item.p_value),
        n=difference.n,
        detectable="cannot be said" if detectable is None else wording.format_difference(detectable, unit).lstrip("+"),
        won=item.won,
        lost=item.lost,
        tied=item.tied,
    )
