"""From scores to evidence: thin or odd input is Insufficient with its reason, and pairs must be pairs."""

import numpy
import pytest

from tunesmith.artifacts import Comparison, Estimate, Insufficient
from tunesmith.errors import Misuse
from tunesmith.recipe.stages import EvaluateSettings
from tunesmith.scoring import Answer, Metric, Pair, metric_ids, metrics_for

ALL = metrics_for(EvaluateSettings(resamples=200), metric_ids())
GOOD = '{"fields": {"a": "1"}}'


def rng() -> numpy.random.Generator:
    return numpy.random.default_rng(0)


def named(metric: Metric) -> str:
    return str(metric.id)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_no_examples(metric: Metric) -> None:
    estimate = metric.estimate([], rng())
    assert isinstance(estimate, Insufficient)
    assert (estimate.metric, estimate.reason, estimate.n) == (metric.id, "there are no examples", 0)
    compared = metric.compare(Pair((), (), "base-plain"), rng())
    assert compared == Comparison(metric=metric.id, reference="base-plain", difference=estimate)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_a_test_row_that_cannot_be_scored_is_said_and_not_skipped(metric: Metric) -> None:
    answers = [Answer(f"r{i}", GOOD, GOOD, 8.0 + i) for i in range(30)] + [Answer("odd", "", "x", None)]
    scores = [metric.score(answer) for answer in answers]
    if metric.id == "chrf":  # an empty reply is a reply
        assert scores[-1].value == 0.0
        return
    assert scores[-1].value is None
    estimate = metric.estimate(scores, rng())
    assert isinstance(estimate, Insufficient)
    assert estimate.reason.startswith("1 of 31 test rows cannot be scored; first odd: ")
    assert isinstance(metric.compare(Pair(scores, scores, "majority"), rng()).difference, Insufficient)


@pytest.mark.parametrize("metric", ALL, ids=named)
def test_the_same_scores_and_seed_give_the_same_bytes(metric: Metric) -> None:
    outputs = ['{"fields": {"a": "1"}}', '{"fields": {"a": "2"}}', "[", GOOD]
    scores = [metric.score(Answer(f"r{i}", GOOD, outputs[i % 4], 5.0 + i % 7)) for i in range(60)]
    first, second = metric.estimate(scores, rng()), metric.estimate(scores, rng())
    assert isinstance(first, Estimate)
    assert first.canonical() == second.canonical()
    assert first.low < first.value < first.high
    assert first.signature.startswith(f"id={metric.id}|version=")
    assert "|interval=" in first.signature


def test_pairs_are_of_the_same_rows_in_the_same_order() -> None:
    metric = ALL[0]
    scores = [metric.score(Answer(name, GOOD, GOOD, 8.0)) for name in ("a", "b")]
    with pytest.raises(Misuse, match="not scored on the same rows"):
        Pair(scores, scores[::-1], "majority")
