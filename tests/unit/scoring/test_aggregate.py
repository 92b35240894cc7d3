"""From scores to evidence: thin or odd input is Insufficient with its reason, and pairs must be pairs."""

import numpy
import pytest

from tunesmith.artifacts import Comparison, Estimate, Insufficient
from tunesmith.errors import Misuse
from tunesmith.recipe.stages import EvaluateSettings
from tunesmith.scoring import Metric, PairedScores, SystemAnswer, metric_ids, metrics_for
from tunesmith.scoring.aggregate import min_interval_rows
from tunesmith.scoring.defaults import NUMBER_METRICS, SET_METRICS, TAG_METRICS

ALL = metrics_for(EvaluateSettings(resamples=200), metric_ids())
GOOD = '{"fields": {"a": "1"}}'


def rng() -> numpy.random.Generator:
    return numpy.random.default_rng(0)


def expected_by(metric: Metric, at: int) -> str:
    """What a row expects, as the metric reads it."""
    if metric.id in NUMBER_METRICS:
        return str(at % 7)
    if metric.id in SET_METRICS:
        return '["a"]'
    return "B-x O" if metric.id in TAG_METRICS else GOOD


def output_by(metric: Metric, at: int) -> str:
    """Right in two of four rows; numbers are off by one in every other row."""
    if metric.id in NUMBER_METRICS:
        return str(at % 7 + at % 2)
    if metric.id in SET_METRICS:
        return ('["a"]', '["b"]', "[", '["a"]')[at % 4]
    if metric.id in TAG_METRICS:
        return ("B-x O", "O B-x", "O O", "B-x O")[at % 4]
    return (GOOD, '{"fields": {"a": "2"}}', "[", GOOD)[at % 4]


def named(metric: Metric) -> str:
    return str(metric.id)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_no_examples(metric: Metric) -> None:
    estimate = metric.estimate([], rng())
    assert isinstance(estimate, Insufficient)
    assert (estimate.metric, estimate.reason, estimate.n) == (metric.id, "there are no examples", 0)
    compared = metric.compare(PairedScores((), (), "base-plain"), rng())
    assert compared == Comparison(metric=metric.id, reference="base-plain", difference=estimate)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_a_test_row_that_cannot_be_scored_is_reported_and_not_skipped(metric: Metric) -> None:
    texts = [expected_by(metric, i) for i in range(30)]
    answers = [SystemAnswer(f"r{i}", text, text, 8.0 + i) for i, text in enumerate(texts)] + [
        SystemAnswer("odd", "", "x", None)
    ]
    scores = [metric.score(answer) for answer in answers]
    if metric.id in ("chrf", *TAG_METRICS):  # an empty reply is a reply, and a row without tags one without entities
        assert scores[-1].value == 0.0
        return
    assert scores[-1].value is None
    estimate = metric.estimate(scores, rng())
    assert isinstance(estimate, Insufficient)
    assert estimate.reason.startswith("1 of 31 test rows cannot be scored; first odd: ")
    assert isinstance(metric.compare(PairedScores(scores, scores, "majority"), rng()).difference, Insufficient)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_the_same_scores_and_seed_give_the_same_bytes(metric: Metric) -> None:
    scores = [
        metric.score(SystemAnswer(f"r{i}", expected_by(metric, i), output_by(metric, i), 5.0 + i % 7))
        for i in range(60)
    ]
    first, second = metric.estimate(scores, rng()), metric.estimate(scores, rng())
    assert isinstance(first, Estimate)
    assert first.canonical() == second.canonical()
    assert first.low < first.value < first.high
    assert first.signature.startswith(f"id={metric.id}|version=")
    assert "|interval=" in first.signature


def test_paired_scores_need_the_same_rows_in_the_same_order() -> None:
    metric = ALL[0]
    scores = [metric.score(SystemAnswer(name, GOOD, GOOD, 8.0)) for name in ("a", "b")]
    with pytest.raises(Misuse, match="not scored on the same rows"):
        PairedScores(scores, scores[::-1], "majority")


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_min_interval_rows_is_where_a_comparison_begins_to_have_an_interval(metric: Metric) -> None:
    def compared(count: int) -> Estimate | Insufficient:
        texts = [(expected_by(metric, i), output_by(metric, i)) for i in range(count)]
        tuned = [metric.score(SystemAnswer(f"r{i}", text, text, 5.0 + i % 7)) for i, (text, _) in enumerate(texts)]
        other = [metric.score(SystemAnswer(f"r{i}", text, said, 9.0 + i % 5)) for i, (text, said) in enumerate(texts)]
        return metric.compare(PairedScores(tuned, other, "majority"), rng()).difference

    fewest = min_interval_rows(metric)
    assert isinstance(compared(max(fewest, 4)), Estimate)
    below = compared(fewest - 1)
    assert isinstance(below, Insufficient) and below.n == fewest - 1
