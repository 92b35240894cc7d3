"""Valid JSON: cases with exact values."""

import numpy
import pytest

from tunesmith.artifacts import Estimate
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.valid_json import ValidJson


@pytest.mark.parametrize(
    ("expected", "output", "value"),
    [
        ('{"a": 1}', '{"b": 2}', 1.0),
        ('{"a": 1}', " {} ", 1.0),
        ('{"a": 1}', "[]", 0.0),
        ("[1]", "[]", 1.0),
        ('{"a": 1}', '{"a": 1} done', 0.0),
        ('{"a": 1}', "{'a': 1}", 0.0),
        ('{"a": 1}', '{"a": NaN}', 0.0),
        ('{"a": 1}', "1", 0.0),
        ('{"a": 1}', "", 0.0),
        ("plain text", "{}", None),
    ],
)
def test_score(expected: str, output: str, value: float | None) -> None:
    assert ValidJson().score(SystemAnswer("r", expected, output)).value == value


def test_estimate_and_compare() -> None:
    metric, rng = ValidJson(), numpy.random.default_rng(0)
    good = [metric.score(SystemAnswer(f"r{i}", "{}", "{}")) for i in range(10)]
    bad = [metric.score(SystemAnswer(f"r{i}", "{}", "no")) for i in range(10)]
    estimate = metric.estimate(bad, rng)
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (0.0, 0.0, 0.2775328, 10)
    compared = metric.compare(PairedScores(good, bad, "base-plain"), rng)
    assert (compared.won, compared.lost, compared.tied, compared.p_value) == (10, 0, 0, 2 / 1024)
