from dataclasses import replace
from typing import Any

import pytest

from tunesmith.artifacts import Comparison, Estimate, Insufficient
from tunesmith.release.result_lines import (
    comparison_reading,
    describe_metric,
    headline_sentence,
    results_by_metric,
    stronger_base,
)


def comparison(metric: str, low: float, high: float) -> Comparison:
    value = Estimate(metric=metric, value=(low + high) / 2, low=low, high=high, n=9, signature="s")
    return Comparison(metric=metric, reference="base-plain", difference=value)


@pytest.mark.parametrize(
    ("metric", "low", "high", "reading"),
    [
        ("exact-match", 0.01, 0.2, "better"),
        ("exact-match", -0.2, -0.01, "worse"),
        ("exact-match", 0.0, 0.2, "no clear difference"),
        ("exact-match", -0.1, 0.1, "no clear difference"),
        ("bits-per-byte", 0.01, 0.2, "worse"),
        ("bits-per-byte", -0.2, -0.01, "better"),
    ],
)
def test_a_difference_is_read_in_the_metrics_direction(metric: str, low: float, high: float, reading: str) -> None:
    assert comparison_reading(comparison(metric, low, high)) == reading


def test_no_number_is_never_a_reading() -> None:
    nothing = Insufficient(metric="exact-match", reason="no rows")
    assert comparison_reading(Comparison(metric="exact-match", reference="x", difference=nothing)) == "cannot be said"


def test_title_and_meaning_come_from_the_manual_page() -> None:
    line = describe_metric("exact-match")
    assert (line.title, line.meaning) == ("Exact match", "The share of outputs whose label is the expected one")


def test_by_metric(reports: Any) -> None:
    exact, f1, chrf = results_by_metric(reports.evaluation)
    assert [item.metric.id for item in (exact, f1, chrf)] == ["exact-match", "macro-f1", "chrf"]
    assert [len(item.systems) for item in (exact, f1, chrf)] == [6, 6, 3]
    assert (exact.systems[0].value, exact.systems[0].interval) == ("86.0%", "82.0% to 90.0%")
    assert chrf.comparisons[1].difference == "no number"
    assert chrf.comparisons[1].interval == "3 of 300 test rows cannot be scored"


def test_the_stronger_base_is_the_one_to_beat(reports: Any) -> None:
    base = stronger_base(results_by_metric(reports.evaluation)[0])
    assert base is not None and base.system == "base-prompted"


def test_the_sentence(reports: Any, make: Any) -> None:
    assert headline_sentence(results_by_metric(reports.evaluation)) == (
        "On 300 held-out examples that it never saw in training, the tuned model reaches 86.0% by exact match; its base, "
        "at its best without tuning, reaches 24.3% (+61.7 points, 95% interval +55.7 to +67.7)."
    )
    rouge = [
        replace(results, metric=replace(results.metric, title="ROUGE-L"))
        for results in results_by_metric(reports.evaluation)
    ]
    assert "86.0% by ROUGE-L; its base" in headline_sentence(rouge)
    nothing = make.evaluation_report(systems=(), comparisons=())
    assert headline_sentence(results_by_metric(nothing)) == (
        "The evaluation holds no number that compares the tuned model with its base."
    )
