"""MultilabelMicroF1: rows by hand, and scikit-learn's figures on random sets of labels."""

import json

import numpy
import pytest
from sklearn.metrics import f1_score

from tunesmith.artifacts import Estimate, Insufficient, Score
from tunesmith.scoring import SystemAnswer
from tunesmith.scoring.metrics.multilabel_micro_f1 import MultilabelMicroF1

METRIC = MultilabelMicroF1(resamples=300)
LABELS = ("a", "b", "c", "d")


def scored(expected: numpy.ndarray, outputs: numpy.ndarray) -> list[Score]:
    def named(row: numpy.ndarray) -> str:
        return json.dumps([label for label, one in zip(LABELS, row, strict=True) if one])

    rows = zip(expected, outputs, strict=True)
    return [METRIC.score(SystemAnswer(f"r{at}", named(wanted), named(said))) for at, (wanted, said) in enumerate(rows)]


def test_rows_by_hand() -> None:
    cases = [('["a"]', '["a"]', 1.0), ('["a", "b"]', '["b"]', 2 / 3), ("[]", "[]", 1.0), ("[]", '["a"]', 0.0)]
    cases += [('["a"]', "no list", 0.0), ("no list", '["a"]', None), ("[]", "no list", 0.0)]
    assert [METRIC.score(SystemAnswer("r", wanted, said)).value for wanted, said, _ in cases] == [
        one for *_, one in cases
    ]


def test_random_sets_as_scikit_learn_scores_them() -> None:
    draw = numpy.random.default_rng(3)
    for _ in range(10):
        expected, outputs = draw.random((80, 4)) < 0.4, draw.random((80, 4)) < 0.5
        estimate = METRIC.estimate(scored(expected, outputs), numpy.random.default_rng(0))
        assert isinstance(estimate, Estimate)
        assert estimate.value == pytest.approx(f1_score(expected, outputs, average="micro"), abs=1e-9)
        assert estimate.low < estimate.value < estimate.high


def test_a_row_without_a_list_stops_the_estimate() -> None:
    scores = [METRIC.score(SystemAnswer(f"r{at}", "none" if at == 3 else '["a"]', "[]")) for at in range(30)]
    found = METRIC.estimate(scores, numpy.random.default_rng(0))
    assert isinstance(found, Insufficient) and "1 of 30 test rows cannot be scored" in found.reason
