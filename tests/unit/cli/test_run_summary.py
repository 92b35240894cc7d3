"""Summary at the end of a run: sentences, one table and sample rows, from the reports alone."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tunesmith.artifacts import Comparison, Dataset, Estimate, EvaluationReport, Insufficient, Provenance, SystemScores
from tunesmith.cli.run_summary import (
    best_base,
    best_baseline,
    difference_in_words,
    epochs_in_words,
    shorten_line,
    show_run_summary,
    summary_sentences,
)

Make = Callable[..., Any]


def estimate(metric: str, value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(
        metric=metric,
        value=value,
        low=value - 0.02 if low is None else low,
        high=value + 0.02 if high is None else high,
        n=312,
        signature="by hand",
    )


def system(name: str, **values: float) -> SystemScores:
    estimates = tuple(estimate(metric.replace("_", "-"), value) for metric, value in values.items())
    return SystemScores(system=name, how="asked", estimates=estimates, scores="sha256:0")


def pair(reference: str, metric: str, value: float, low: float, high: float) -> Comparison:
    return Comparison(reference=reference, metric=metric, difference=estimate(metric, value, low, high))


@pytest.fixture
def evaluation() -> EvaluationReport:
    return EvaluationReport(
        provenance=Provenance(stage="evaluate", inputs={}, settings="sha256:0", seed=7, code="c", versions={}),
        test=Dataset(name="test", rows=312, rows_digest="sha256:1", container="sha256:2"),
        systems=(
            system("tuned", exact_match=0.85, chrf=26.2),
            system("base-plain", exact_match=0.0, chrf=3.0),
            system("base-prompted", exact_match=0.03, chrf=9.0),
            system("majority", exact_match=0.13),
            system("tfidf-characters", exact_match=0.81),
        ),
        comparisons=(
            pair("base-prompted", "exact-match", 0.82, 0.77, 0.86),
            pair("tfidf-characters", "exact-match", 0.04, -0.01, 0.09),
        ),
        samples=(
            {
                "place": "held-out.jsonl:1",
                "prompt": "Where is\n12345? \x1b[31mred",
                "tuned": "{}",
                "base-plain": "",
                "base-prompted": "no",
            },
        ),
    )


def test_best_base_and_best_baseline(evaluation: EvaluationReport) -> None:
    assert best_base(evaluation, "exact-match") == "base-prompted"
    assert best_baseline(evaluation, "exact-match") == "tfidf-characters"
    assert best_baseline(evaluation, "chrf") is None


def test_for_error_metrics_the_smallest_value_is_best(evaluation: EvaluationReport) -> None:
    systems = (system("tuned", mae=0.5), system("mean", mae=2.0), system("tfidf-ridge", mae=1.0))
    report = evaluation.model_copy(update={"systems": systems, "comparisons": ()})
    assert best_baseline(report, "mae") == "tfidf-ridge"
    assert best_base(report, "mae") is None


def test_comparison_sentence_marks_insignificant_differences(evaluation: EvaluationReport) -> None:
    (sentence,) = summary_sentences({"evaluate": evaluation})
    assert sentence == (
        "On 312 test rows, exact-match is 0.850 for the tuned model; its base (base-prompted) has 0.030, a difference "
        "of +0.820 [+0.770, +0.860]; the best baseline (tfidf-characters) has 0.810, a difference of +0.040 "
        "[-0.010, +0.090], not significant."
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "expected_text"),
    [
        (-0.1, -0.2, -0.05, "-0.100 [-0.200, -0.050]"),
        (0.0, -0.1, 0.1, "+0.000 [-0.100, +0.100], not significant"),
        (0.1, 0.0, 0.2, "+0.100 [+0.000, +0.200], not significant"),
    ],
)
def test_differences_in_words(value: float, low: float, high: float, expected_text: str) -> None:
    assert difference_in_words(estimate("m", value, low, high)) == expected_text


def test_control_characters_of_a_row_do_not_reach_the_terminal(evaluation: EvaluationReport) -> None:
    console = Console(file=StringIO(), width=100)
    show_run_summary({"evaluate": evaluation}, console)
    screen_text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in screen_text
    assert "held-out.jsonl:1" in screen_text and "base-prompted: no" in screen_text and "tuned: {}" in screen_text
    assert "26.200" in screen_text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(evaluation: EvaluationReport, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    show_run_summary({"evaluate": evaluation}, console)
    screen_text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, screen_text.splitlines())) <= width
    assert "exact-match" in screen_text


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert shorten_line("a  b\nc", 10) == "a b c"
    assert shorten_line("x" * 11, 10) == "x" * 9 + "…"


def test_empty_answers_are_shown_as_empty(evaluation: EvaluationReport) -> None:
    """All its scores are 0, so it has no estimate; its empty output shows why. The same holds for the tuned model."""
    systems = (system("tuned", chrf=26.2), system("base-plain", exact_match=0.0), system("copy", chrf=12.0))
    sample = {"place": "rows.jsonl:1", "prompt": "a", "tuned": "", "base-plain": ""}
    silent = evaluation.model_copy(update={"systems": systems, "comparisons": (), "samples": (sample,)})
    screen = Console(file=StringIO(), width=120)
    show_run_summary({"evaluate": silent}, screen)
    screen_text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "base-plain: (empty)" in screen_text and "tuned: (empty)" in screen_text


@pytest.mark.parametrize(("epochs", "expected_text"), [(1.0, "1 epoch"), (2.0, "2 epochs"), (0.8, "0.8 epochs")])
def test_epochs_in_words(epochs: float, expected_text: str) -> None:
    assert epochs_in_words(epochs) == expected_text


def test_a_missing_estimate_is_reported_with_its_reason(evaluation: EvaluationReport) -> None:
    none = Insufficient(metric="chrf", n=40, reason="they show no spread", signature="by hand")
    how = "greedy text; 40 of 40 answers are empty"
    tuned = SystemScores(system="tuned", how=how, estimates=(none,), scores="sha256:0")
    (sentence,) = summary_sentences(
        {"evaluate": evaluation.model_copy(update={"systems": (tuned,), "comparisons": ()})}
    )
    assert sentence == (
        "chrf of the tuned model could not be measured: they show no spread; 40 of 40 answers are empty."
    )


def test_a_base_without_answers_is_not_shown(evaluation: EvaluationReport) -> None:
    """The base of an encoder has no head: it is used frozen under a linear model, or not at all."""
    tuned, baseline = evaluation.systems[0], evaluation.systems[-1]
    frozen = evaluation.model_copy(update={"systems": (tuned, system("base-frozen", exact_match=0.7), baseline)})
    assert best_base(frozen, "exact-match") == "base-frozen"
    assert best_baseline(frozen, "exact-match") == "tfidf-characters"
    none = evaluation.model_copy(update={"systems": (tuned, baseline), "samples": ({"tuned": "O B-person"},)})
    assert best_base(none, "exact-match") is None
    screen = Console(file=StringIO(), width=120)
    show_run_summary({"evaluate": none}, screen)
    screen_text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "tuned: O B-person" in screen_text and "base-" not in screen_text and "tuned - base" not in screen_text
