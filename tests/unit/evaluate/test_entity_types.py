"""Scores per entity type equal seqeval's report: precision, recall, F1 and support, lenient and strict."""

import random
import warnings
from typing import Any

import pytest
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from tunesmith.artifacts import Estimate
from tunesmith.evaluate.entity_types import score_entity_types
from tunesmith.scoring import SystemAnswer
from tunesmith.scoring.metrics.entity_f1 import EntityF1

TAGS = ("O", "O", "B-firm", "I-firm", "B-person", "I-person", "B-rare-thing", "I-rare-thing")


class SeededContext:
    def rng(self, name: str) -> Any:
        import numpy

        return numpy.random.default_rng(len(name))


def rows(count: int, *, seed: int) -> list[tuple[list[str], list[str]]]:
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        expected = [draw.choice(TAGS) for _ in range(draw.randint(1, 9))]
        lines.append((expected, [tag if draw.random() < 0.7 else draw.choice(TAGS) for tag in expected]))
    return lines


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_every_type_equals_seqeval(mode: Any) -> None:
    pairs = rows(60, seed=4)
    metric = EntityF1(entities=mode, resamples=200)
    scores = [metric.score(SystemAnswer(f"r{at}", " ".join(one), " ".join(two))) for at, (one, two) in enumerate(pairs)]
    expected, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    strict = {"mode": "strict", "scheme": IOB2} if mode == "strict" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = classification_report(expected, predicted, output_dict=True, zero_division=0, **strict)
    context: Any = SeededContext()
    lines = score_entity_types(scores, metric, context)
    assert [line.kind for line in lines] == ["firm", "person", "rare-thing"]
    for line in lines:
        own = report[line.kind]
        assert (line.precision, line.recall, line.value) == pytest.approx(
            (own["precision"], own["recall"], own["f1-score"]), abs=1e-12
        )
        assert line.support == own["support"]
        assert isinstance(line.f1, Estimate) and line.f1.low < line.value < line.f1.high and line.f1.n == 60


def test_a_type_only_predicted_or_only_expected_is_listed() -> None:
    metric = EntityF1(resamples=200)
    scores = [metric.score(SystemAnswer(f"r{at}", "B-a O", "O B-b")) for at in range(25)]
    context: Any = SeededContext()
    one, two = score_entity_types(scores, metric, context)
    assert (one.kind, one.support, one.precision, one.recall, one.value) == ("a", 25, None, 0.0, 0.0)
    assert (two.kind, two.support, two.precision, two.recall, two.value) == ("b", 0, 0.0, None, 0.0)
    assert not isinstance(one.f1, Estimate)
