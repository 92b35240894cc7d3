"""Bits per byte: cases with exact values."""

import numpy
import pytest

from tunesmith.artifacts import Estimate
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.bits_per_byte import BitsPerByte

METRIC = BitsPerByte(resamples=300)


@pytest.mark.parametrize(
    ("expected", "bits", "value"),
    [
        ("four", 8.0, 8.0),
        ("four", None, None),
        ("four", float("inf"), None),
        ("four", float("nan"), None),
        ("", 0.0, None),
    ],
)
def test_score_is_the_bits(expected: str, bits: float | None, value: float | None) -> None:
    assert METRIC.score(SystemAnswer("r", expected, "ignored", bits)).value == value


def test_estimate_is_a_ratio_of_sums_over_utf8_bytes() -> None:
    """Half the rows: 8 bits for 4 bytes; half: 3 bits for 6 bytes (three letters): 11 / 10, not the mean of ratios."""
    rows = [("four", 8.0), ("äöü", 3.0)] * 15
    scores = [METRIC.score(SystemAnswer(f"r{i}", text, "", bits)) for i, (text, bits) in enumerate(rows)]
    estimate = METRIC.estimate(scores, numpy.random.default_rng(0))
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.unit) == (1.1, "bits/byte")
    assert estimate.low < 1.1 < estimate.high


def test_fewer_bits_win_and_the_difference_is_negative() -> None:
    tuned = [METRIC.score(SystemAnswer(f"r{i}", "four", "", 4.0 + i % 2)) for i in range(30)]
    base = [METRIC.score(SystemAnswer(f"r{i}", "four", "", 8.0 + i % 3)) for i in range(30)]
    compared = METRIC.compare(PairedScores(tuned, base, "base-plain"), numpy.random.default_rng(0))
    assert isinstance(compared.difference, Estimate)
    assert compared.difference.high < 0
    assert (compared.won, compared.lost, compared.tied) == (30, 0, 0)
    assert METRIC.higher_is_better is False
