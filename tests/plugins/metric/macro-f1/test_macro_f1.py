"""Macro F1: cases with exact values, and the coverage of its interval."""

import numpy

from tunesmith.artifacts import Estimate, Insufficient, Score
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.macro_f1 import MacroF1, macro_f1
from tunesmith.stats.bootstrap import Resampling, bootstrap_interval
from tunesmith.stats.interval import Interval

METRIC = MacroF1(resamples=400)


def rng() -> numpy.random.Generator:
    return numpy.random.default_rng(0)


def scored(expected: str, outputs: str) -> list[Score]:
    """One row per character; `.` is an empty output."""
    rows = zip(expected, outputs, strict=True)
    return [METRIC.score(SystemAnswer(f"r{i}", wanted, said.replace(".", ""))) for i, (wanted, said) in enumerate(rows)]


def test_value_by_hand() -> None:
    """a: tp 8, expected 10, predicted 10 -> 0.8; b: tp 6, expected 10, predicted 8 -> 2/3. `x` is no expected label."""
    scores = scored("a" * 10 + "b" * 10, "a" * 8 + "bb" + "b" * 6 + "aa" + "x" + ".")
    assert [score.value for score in scores].count(1.0) == 14
    estimate = METRIC.estimate(scores, rng())
    assert isinstance(estimate, Estimate)
    assert (estimate.value, estimate.n) == (round((0.8 + 2 / 3) / 2, 9), 20)
    assert 0.4 < estimate.low < estimate.value < estimate.high < 0.95


def test_reads_the_label_under_its_key() -> None:
    metric = MacroF1(label="queue")
    assert metric.score(SystemAnswer("r", '{"queue": "a"}', '{"queue": "a"}')).value == 1.0
    assert metric.score(SystemAnswer("r", '{"queue": "a"}', "a")).value == 0.0


def test_all_right_or_all_wrong_shows_no_spread() -> None:
    for outputs, value in (("ab" * 15, 1), ("." * 30, 0)):
        estimate = METRIC.estimate(scored("ab" * 15, outputs), rng())
        assert isinstance(estimate, Insufficient)
        assert estimate.reason == f"every resample of the 30 examples gives {value}, so they show no spread"


def test_compare_is_paired() -> None:
    tuned, base = scored("abc" * 20, "abc" * 17 + "bca" * 3), scored("abc" * 20, "a" * 60)
    compared = METRIC.compare(PairedScores(tuned, base, "majority"), rng())
    assert isinstance(compared.difference, Estimate)
    assert compared.difference.value == round(0.85 - 0.5 / 3, 9)
    assert compared.difference.low > 0.5
    assert (compared.p_value, compared.won, compared.lost, compared.tied) == (round(1 / 401, 11), 34, 3, 23)


def test_interval_covers_the_truth() -> None:
    """Three uneven labels and a known confusion table; 300 samples of 150 rows, nominal 0.95."""
    draw = numpy.random.default_rng(31)
    cells = numpy.array([[0.50, 0.05, 0.05], [0.04, 0.18, 0.03], [0.03, 0.02, 0.10]])
    truth = float(macro_f1(_sums(cells))[0])
    records = numpy.vstack([_sums(numpy.eye(9)[cell].reshape(3, 3)) for cell in range(9)])
    covered = []
    for _ in range(300):
        sample = records[draw.choice(9, size=150, p=cells.ravel())]
        result = bootstrap_interval(macro_f1, sample, how=Resampling(400, 0.95), rng=draw)
        covered.append(isinstance(result, Interval) and result.low <= truth <= result.high)
    assert numpy.mean(covered) >= 0.93


def _sums(table: numpy.ndarray) -> numpy.ndarray:
    """(1, 9): hit, expected, predicted of a confusion table whose rows are the expected labels."""
    return numpy.concatenate([table.diagonal(), table.sum(axis=1), table.sum(axis=0)])[None]
