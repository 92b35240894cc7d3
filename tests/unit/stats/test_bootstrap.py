"""Bootstrap: what it refuses, what does not depend on how the work is cut, and coverage."""

import numpy
import pytest

from tunesmith.stats import bootstrap
from tunesmith.stats.bootstrap import FloatArray, Resampling, bootstrap_interval, paired_bootstrap, unpaired_bootstrap
from tunesmith.stats.interval import Interval, NoInterval
from tunesmith.stats.randomisation import randomisation_test

HOW = Resampling(resamples=500, level=0.95)


def mean(sums: FloatArray) -> FloatArray:
    ratio: FloatArray = sums[:, 0] / sums[:, 1]
    return ratio


def with_count(values: FloatArray) -> FloatArray:
    return numpy.column_stack([values, numpy.ones_like(values)])


def test_too_few_examples() -> None:
    records = with_count(numpy.arange(19.0))
    expected = NoInterval("a bootstrap interval needs at least 20 examples", 19)
    assert bootstrap_interval(mean, records, how=HOW, rng=numpy.random.default_rng(0)) == expected
    assert bootstrap_interval(mean, records[:0], how=HOW, rng=numpy.random.default_rng(0)).n == 0


def test_no_spread() -> None:
    result = bootstrap_interval(mean, with_count(numpy.ones(40)), how=HOW, rng=numpy.random.default_rng(0))
    assert result == NoInterval("every resample of the 40 examples gives 1, so they show no spread", 40)


def test_a_statistic_that_is_undefined_somewhere_gives_no_interval() -> None:
    def inverse(sums: FloatArray) -> FloatArray:
        with numpy.errstate(divide="ignore"):
            ratio: FloatArray = 1.0 / sums[:, 0]
        return ratio

    records = numpy.zeros((30, 1))
    records[0] = 1.0
    result = bootstrap_interval(inverse, records, how=HOW, rng=numpy.random.default_rng(0))
    assert isinstance(result, NoInterval)
    assert "undefined in" in result.reason


def test_a_value_at_the_edge_of_its_resamples_gives_no_bca_interval() -> None:
    def spread(sums: FloatArray) -> FloatArray:
        return numpy.asarray((sums > 0).sum(axis=1), dtype=numpy.float64)

    result = bootstrap_interval(spread, numpy.eye(30), how=HOW, rng=numpy.random.default_rng(0))
    assert result == NoInterval("all resamples lie on one side of 30, so BCa limits do not exist", 30)


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    records = with_count(numpy.random.default_rng(1).integers(0, 5, 50).astype(numpy.float64))
    whole = bootstrap_interval(mean, records, how=HOW, rng=numpy.random.default_rng(7))
    monkeypatch.setattr(bootstrap, "MAX_BLOCK_DRAWS", 350)
    assert bootstrap_interval(mean, records, how=HOW, rng=numpy.random.default_rng(7)) == whole


def test_paired_and_unpaired_differ_as_they_should() -> None:
    """The second system is the first plus a little noise: pairing sees that, two independent samples do not."""
    rng = numpy.random.default_rng(3)
    first = rng.normal(0, 1, 200)
    samples = (with_count(first + rng.normal(0.1, 0.1, 200)), with_count(first))
    together = paired_bootstrap(mean, samples, how=HOW, rng=numpy.random.default_rng(0))
    apart = unpaired_bootstrap(mean, samples, how=HOW, rng=numpy.random.default_rng(0))
    assert isinstance(together, Interval) and isinstance(apart, Interval)
    assert together.value == pytest.approx(apart.value, abs=1e-12)
    assert together.low > 0 > apart.low
    assert (together.n, apart.n) == (200, 400)


def test_unpaired_needs_both_sides() -> None:
    many, few = with_count(numpy.arange(30.0)), with_count(numpy.arange(5.0))
    expected = NoInterval("a bootstrap interval needs at least 20 examples on each side", 5)
    assert unpaired_bootstrap(mean, (many, few), how=HOW, rng=numpy.random.default_rng(0)) == expected


def test_bca_covers_the_mean_of_skewed_values() -> None:
    """400 samples of 60 exponential values: nominal 0.95; the percentile interval reaches less."""
    rng = numpy.random.default_rng(1987)
    covered = []
    for _ in range(400):
        result = bootstrap_interval(mean, with_count(rng.exponential(1.0, 60)), how=HOW, rng=rng)
        covered.append(isinstance(result, Interval) and result.low <= 1.0 <= result.high)
    assert numpy.mean(covered) >= 0.92


def test_randomisation_keeps_its_level_and_finds_a_difference() -> None:
    rng = numpy.random.default_rng(89)
    same = [rng.normal(0, 1, (2, 40)) for _ in range(300)]
    p_values = [randomisation_test(mean, (with_count(a), with_count(b)), rounds=199, rng=rng) for a, b in same]
    assert numpy.mean([p is not None and p <= 0.05 for p in p_values]) == pytest.approx(0.05, abs=0.035)
    better = rng.normal(0, 1, 40)
    assert randomisation_test(mean, (with_count(better + 1), with_count(better)), rounds=199, rng=rng) == 1 / 200


def test_randomisation_of_equal_answers_is_one() -> None:
    records = with_count(numpy.arange(25.0))
    assert randomisation_test(mean, (records, records), rounds=99, rng=numpy.random.default_rng(0)) == 1.0
