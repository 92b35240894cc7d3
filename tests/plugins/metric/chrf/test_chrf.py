"""chrF: cases with exact values."""

import numpy
import pytest

from tunesmith.artifacts import Estimate
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.chrf import Chrf

METRIC = Chrf(reply="reply", resamples=300)


@pytest.mark.parametrize(
    ("output", "value", "note"),
    [
        ('{"reply": "thank you"}', 100.0, ""),
        ('{"reply": "zzz"}', 0.0, ""),
        ("thank you", 0.0, "no reply in the output"),
        ('{"reply": 5}', 0.0, "no reply in the output"),
    ],
)
def test_score(output: str, value: float, note: str) -> None:
    score = METRIC.score(SystemAnswer("r", '{"reply": "thank you"}', output))
    assert (score.value, score.note) == (pytest.approx(value, abs=1e-9), note)


def test_score_by_hand() -> None:
    """ "ab" for "abc": precision 1, 1; recall 2/3, 1/2 over the orders both have; F2 = 5 p r / (4 p + r)."""
    recall = (2 / 3 + 1 / 2) / 2
    assert Chrf().score(SystemAnswer("r", "abc", "ab")).value == pytest.approx(
        100 * 5 * recall / (4 + recall), abs=1e-9
    )


def test_the_corpus_score_is_not_the_mean_of_sentence_scores() -> None:
    metric = Chrf(resamples=300)
    answers = [("a long and careful answer to the question", "nothing alike"), ("ok", "ok")] * 15
    scores = [metric.score(SystemAnswer(f"r{i}", wanted, said)) for i, (wanted, said) in enumerate(answers)]
    estimate = metric.estimate(scores, numpy.random.default_rng(0))
    assert isinstance(estimate, Estimate)
    mean = sum(score.value or 0.0 for score in scores) / 30
    assert mean > 50.0
    assert estimate.low < estimate.value < estimate.high < 25.0


def test_compare() -> None:
    metric = Chrf(resamples=300)
    wanted = [f"your order {i} is on its way" for i in range(30)]
    tuned = [metric.score(SystemAnswer(f"r{i}", text, text.replace("way", "road"))) for i, text in enumerate(wanted)]
    base = [metric.score(SystemAnswer(f"r{i}", text, "hello" * (i % 3))) for i, text in enumerate(wanted)]
    compared = metric.compare(PairedScores(tuned, base, "base-plain"), numpy.random.default_rng(0))
    assert isinstance(compared.difference, Estimate)
    assert compared.difference.low > 50
    assert (compared.won, compared.lost, compared.p_value) == (30, 0, round(1 / 301, 11))
