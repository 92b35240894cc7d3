"""Field accuracy: cases with exact values."""

import json

import numpy
import pytest

from tunesmith.artifacts import Estimate, Insufficient
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.field_accuracy import FieldAccuracy

WANTED = {"order": "A1", "product": "kettle", "date": None, "wish": "refund"}


def inside(fields: object) -> str:
    return json.dumps({"fields": fields})


@pytest.mark.parametrize(
    ("output", "value", "note"),
    [
        (inside(WANTED), 1.0, ""),
        (inside(WANTED | {"order": " A1 ", "date": ""}), 1.0, ""),
        (inside(WANTED | {"order": "a1"}), 0.75, ""),
        (inside({"order": "A1"}), 0.25, ""),
        (inside(WANTED | {"colour": "red"}), 0.8, ""),
        (inside("A1"), 0.0, ""),
        (json.dumps(WANTED), 0.0, "no fields in the output"),
        ("A1 kettle", 0.0, "no fields in the output"),
    ],
)
def test_score(output: str, value: float, note: str) -> None:
    score = FieldAccuracy().score(SystemAnswer("r", inside(WANTED), output))
    assert (score.value, score.note) == (value, note)


def test_keys_of_the_completion_itself() -> None:
    metric = FieldAccuracy(fields=("order", "wish"))
    assert (
        metric.score(SystemAnswer("r", json.dumps(WANTED), json.dumps(WANTED | {"wish": "x", "date": "y"}))).value
        == 0.5
    )


def test_a_test_row_without_fields_cannot_be_scored() -> None:
    score = FieldAccuracy().score(SystemAnswer("r", "{}", inside(WANTED)))
    assert (score.value, score.note) == (None, "the expected completion has none of the fields")


def test_estimate_and_compare() -> None:
    metric, rng = FieldAccuracy(resamples=400), numpy.random.default_rng(0)
    outputs = [inside(WANTED), inside(WANTED | {"order": "?"}), "no", inside(WANTED)]
    tuned = [metric.score(SystemAnswer(f"r{i}", inside(WANTED), outputs[i % 4])) for i in range(40)]
    base = [metric.score(SystemAnswer(f"r{i}", inside(WANTED), "no")) for i in range(40)]
    estimate = metric.estimate(tuned, rng)
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.n) == (0.6875, 40)
    assert 0.5 < estimate.low < 0.6875 < estimate.high < 0.85
    compared = metric.compare(PairedScores(tuned, base, "base-plain"), rng)
    assert isinstance(compared.difference, Estimate)
    assert (compared.difference.value, compared.won, compared.lost, compared.tied) == (0.6875, 30, 0, 10)
    assert compared.p_value is not None and compared.p_value < 1e-9


def test_all_wrong_has_a_bound_and_few_have_none() -> None:
    metric, rng = FieldAccuracy(), numpy.random.default_rng(0)
    base = [metric.score(SystemAnswer(f"r{i}", inside(WANTED), "no")) for i in range(40)]
    estimate = metric.estimate(base, rng)
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.low, estimate.high) == (0.0, 0.0, round(1 - 0.05 ** (1 / 40), 9))
    assert estimate.signature.endswith("|interval=constant")
    mixed = [metric.score(SystemAnswer(f"r{i}", inside(WANTED), inside(WANTED) if i else "no")) for i in range(5)]
    few = metric.estimate(mixed, rng)
    assert few == Insufficient(
        metric="field-accuracy", reason="a bootstrap interval needs at least 20 examples", n=5,
        signature="id=field-accuracy|version=1|fields=('fields',)|level=0.95|resamples=2000",
    )  # fmt: skip
