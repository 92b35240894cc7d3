"""EntityPrecision: cases by hand, and seqeval's own figures on random tags, in both modes."""

import warnings

import numpy
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from seqeval.metrics import precision_score
    from seqeval.scheme import IOB2

from tunesmith.artifacts import Estimate, Score
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.entity_precision import EntityPrecision


def rng() -> numpy.random.Generator:
    return numpy.random.default_rng(0)


def scored(metric: EntityPrecision, expected: list[str], outputs: list[str]) -> list[Score]:
    rows = zip(expected, outputs, strict=True)
    return [metric.score(SystemAnswer(f"r{at}", wanted, said)) for at, (wanted, said) in enumerate(rows)]


def test_rows_by_hand() -> None:
    expected = ["B-a I-a O", "B-a O B-b", "B-a I-a O", "O O O", "O O O"]
    outputs = ["B-a I-a O", "B-a O B-a", "B-a O O", "O O O", "B-a O O"]
    found = scored(EntityPrecision(), expected, outputs)
    assert [score.value for score in found] == [1.0, 0.5, 0.0, 1.0, 0.0]


def random_tags(draw: numpy.random.Generator) -> list[str]:
    names = ["O", "O", "B-x", "I-x", "B-y", "I-y"]
    return [" ".join(draw.choice(names, size=draw.integers(1, 12))) for _ in range(120)]


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_random_tags_as_seqeval_counts_them(mode: str) -> None:
    draw = numpy.random.default_rng(5)
    metric = EntityPrecision(entities=mode, resamples=300)
    for _ in range(20):
        expected, outputs = random_tags(draw), random_tags(draw)
        outputs = [
            " ".join((said.split() * 12)[: len(wanted.split())]) for wanted, said in zip(expected, outputs, strict=True)
        ]
        estimate = metric.estimate(scored(metric, expected, outputs), rng())
        options = {} if mode == "lenient" else {"mode": "strict", "scheme": IOB2}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = precision_score([row.split() for row in expected], [row.split() for row in outputs], **options)
        assert isinstance(estimate, Estimate) and estimate.value == pytest.approx(float(own), abs=1e-9)
        assert estimate.low < estimate.value < estimate.high and estimate.n == 120


def test_compare_is_paired() -> None:
    metric = EntityPrecision(resamples=300)
    expected = ["B-a O", "B-b I-b", "O B-a"] * 15
    tuned = scored(metric, expected, ["B-a O", "B-b I-b", "O B-b"] * 15)
    other = scored(metric, expected, ["B-a O", "B-a I-a", "O B-b"] * 15)
    compared = metric.compare(PairedScores(tuned, other, "frequent-tag"), rng())
    assert isinstance(compared.difference, Estimate)
    assert compared.difference.value == pytest.approx(1 / 3) and (compared.won, compared.lost) == (15, 0)
