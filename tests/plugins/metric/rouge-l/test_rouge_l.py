"""ROUGE-L: cases with exact values, and the F-measures that rouge_score 0.1.2 gives (RougeScorer(["rougeL"]), no stemmer)."""

import numpy
import pytest

from tunesmith.artifacts import Estimate, Insufficient
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.rouge_l import RougeL, longest_common_subsequence

METRIC = RougeL(reply="reply", resamples=300)


@pytest.mark.parametrize(
    ("expected", "output", "value"),
    [
        ("The cat sat on the mat.", "the mat sat on the cat", 0.6666666666666666),
        (
            "Blue Spice is a coffee shop in the city centre.",
            "In the city centre, Blue Spice serves coffee.",
            0.4444444444444445,
        ),
        ("It's 3.5 km; don't walk!", "its 3 5 km dont walk", 0.5714285714285715),
        ("über naïve café", "uber naive cafe", 0.0),
        ("one two", "three", 0.0),
        ("one two", "", 0.0),
    ],
)
def test_values_of_rouge_score(expected: str, output: str, value: float) -> None:
    assert RougeL().score(SystemAnswer("r", expected, output)).value == pytest.approx(100 * value, abs=1e-9)


def test_score_by_hand() -> None:
    """Of a b c d e and a x c e the subsequence is a c e: precision 3/4, recall 3/5, F1 = 2/3."""
    assert RougeL().score(SystemAnswer("r", "a b c d e", "a x c e")).value == pytest.approx(100 * 2 / 3, abs=1e-9)
    assert longest_common_subsequence("abcbdab", "bdcaba") == 4  # Cormen et al., Introduction to Algorithms, 15.4
    assert (
        longest_common_subsequence("", "a")
        == longest_common_subsequence("a", "")
        == longest_common_subsequence("ab", "cd")
        == 0
    )


@pytest.mark.parametrize(
    ("output", "value", "note"),
    [
        ('{"reply": "Thank you!"}', 100.0, ""),
        ("thank you", 0.0, "no reply in the output"),
        ('{"reply": 5}', 0.0, "no reply in the output"),
    ],
)
def test_a_reply_in_json(output: str, value: float, note: str) -> None:
    score = METRIC.score(SystemAnswer("r", '{"reply": "thank you"}', output))
    assert (score.value, score.note) == (value, note)


def test_letters_that_it_does_not_see_give_no_number() -> None:
    score = RougeL().score(SystemAnswer("r", "\u8c22\u8c22", "\u8c22\u8c22"))
    assert score.value is None and "letters a-z" in score.note
    assert RougeL(reply="reply").score(SystemAnswer("r", "no json", "x")).note == "the expected completion has no reply"
    assert isinstance(RougeL().estimate([score], numpy.random.default_rng(0)), Insufficient)


def test_estimate_and_compare() -> None:
    metric = RougeL(resamples=300)
    wanted = [f"your order {at} is on its way" for at in range(30)]
    tuned = [metric.score(SystemAnswer(f"r{at}", text, text.replace("way", "road"))) for at, text in enumerate(wanted)]
    base = [metric.score(SystemAnswer(f"r{at}", text, "order " * (at % 3))) for at, text in enumerate(wanted)]
    found = metric.estimate(base, numpy.random.default_rng(0))
    assert isinstance(found, Estimate) and found.low < found.value < found.high < 30
    compared = metric.compare(PairedScores(tuned, base, "base-plain"), numpy.random.default_rng(0))
    assert isinstance(compared.difference, Estimate) and compared.difference.low > 50
    assert (compared.won, compared.lost, compared.tied) == (30, 0, 0)
