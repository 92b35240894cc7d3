"""Pearson: the value is that of scipy on the same numbers; an output that is no number gives no number."""

import numpy
import pytest
from scipy.stats import pearsonr

from tunesmith.artifacts import Estimate, Insufficient, Score
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.pearson import Pearson

METRIC = Pearson(resamples=300)


def scored(expected: numpy.ndarray, outputs: numpy.ndarray) -> list[Score]:
    rows = zip(expected.tolist(), outputs.tolist(), strict=True)
    return [METRIC.score(SystemAnswer(f"r{at}", repr(wanted), repr(said))) for at, (wanted, said) in enumerate(rows)]


def numbers(seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    draw = numpy.random.default_rng(seed)
    expected = numpy.round(draw.normal(1000.0, 2.0, 90), 1)
    return expected, numpy.round(expected + draw.normal(0.3, 1.0, 90), 1)


def test_value_is_the_references() -> None:
    for seed in range(8):
        expected, outputs = numbers(seed)
        estimate = METRIC.estimate(scored(expected, outputs), numpy.random.default_rng(0))
        assert isinstance(estimate, Estimate)
        assert estimate.value == pytest.approx(float(pearsonr(expected, outputs).statistic), abs=1e-8)
        assert estimate.low < estimate.value < estimate.high and estimate.n == 90


def test_what_is_no_number_is_not_scored() -> None:
    assert METRIC.score(SystemAnswer("r", "1.5", "-0.5")).value == 2.0
    for wanted, said in (("many", "1"), ("1", "many"), ("1", "nan"), ("inf", "1")):
        assert METRIC.score(SystemAnswer("r", wanted, said)).value is None
    expected, outputs = numbers(1)
    scores = [*scored(expected, outputs), METRIC.score(SystemAnswer("last", "1", "none"))]
    assert isinstance(METRIC.estimate(scores, numpy.random.default_rng(0)), Insufficient)


def test_a_better_system_is_told_from_a_worse_one() -> None:
    expected, outputs = numbers(2)
    noisy = numpy.random.default_rng(9).permutation(outputs)
    compared = METRIC.compare(
        PairedScores(scored(expected, outputs), scored(expected, noisy), "mean"), numpy.random.default_rng(0)
    )
    assert isinstance(compared.difference, Estimate)
    assert (compared.difference.low > 0.0) is METRIC.higher_is_better is True
    assert (compared.difference.high < 0.0) is not METRIC.higher_is_better
