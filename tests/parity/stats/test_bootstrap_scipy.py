"""Bootstrap limits against `scipy.stats.bootstrap`: the same draws, so the same numbers."""

import numpy
import pytest
from scipy.stats import bootstrap

from tunesmith.stats.bootstrap import FloatArray, Resampling, bootstrap_interval, paired_bootstrap, unpaired_bootstrap
from tunesmith.stats.interval import Interval

METHODS = {"bca": "BCa", "percentile": "percentile"}


def mean(sums: FloatArray) -> FloatArray:
    ratio: FloatArray = sums[:, 0] / sums[:, 1]
    return ratio


def with_count(values: FloatArray) -> FloatArray:
    return numpy.column_stack([values, numpy.ones_like(values)])


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_sample(method: str, level: float) -> None:
    sample = numpy.random.default_rng(0).gamma(1.0, 1.0, 60)
    how = Resampling(999, level, method)  # type: ignore[arg-type]
    ours = bootstrap_interval(mean, with_count(sample), how=how, rng=numpy.random.default_rng(5))
    theirs = bootstrap(
        (sample,), numpy.mean, n_resamples=999, confidence_level=level, method=METHODS[method],
        rng=numpy.random.default_rng(5), vectorized=True,
    )  # fmt: skip
    assert isinstance(ours, Interval)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)
    assert ours.standard_error == pytest.approx(theirs.standard_error, abs=1e-12)


def test_ratio_of_sums_paired() -> None:
    """Difference of two ratios over the same examples, the case of bits per byte."""
    rng = numpy.random.default_rng(1)
    bits, other, size = rng.gamma(2.0, 40.0, 50), rng.gamma(2.0, 50.0, 50), rng.integers(20, 200, 50).astype(float)
    samples = (numpy.column_stack([bits, size]), numpy.column_stack([other, size]))
    ours = paired_bootstrap(mean, samples, how=Resampling(999, 0.95), rng=numpy.random.default_rng(5))

    def statistic(a: FloatArray, b: FloatArray, s: FloatArray, axis: int) -> FloatArray:
        difference: FloatArray = (a.sum(axis=axis) - b.sum(axis=axis)) / s.sum(axis=axis)
        return difference

    theirs = bootstrap(
        (bits, other, size), statistic, n_resamples=999, paired=True, method="BCa", rng=numpy.random.default_rng(5)
    )
    assert isinstance(ours, Interval)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


def test_two_independent_samples() -> None:
    first, second = numpy.random.default_rng(2).gamma(1.0, 1.0, 60), numpy.random.default_rng(3).gamma(2.0, 1.0, 45)
    how = Resampling(999, 0.95)
    ours = unpaired_bootstrap(mean, (with_count(first), with_count(second)), how=how, rng=numpy.random.default_rng(5))

    def statistic(a: FloatArray, b: FloatArray, axis: int) -> FloatArray:
        difference: FloatArray = a.mean(axis=axis) - b.mean(axis=axis)
        return difference

    theirs = bootstrap((first, second), statistic, n_resamples=999, method="BCa", rng=numpy.random.default_rng(5))
    assert isinstance(ours, Interval)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)
