"""Exact match: cases with exact values."""

import numpy
import pytest

from tunesmith.artifacts import Comparison, Estimate, Score
from tunesmith.scoring import PairedScores, SystemAnswer
from tunesmith.scoring.metrics.exact_match import ExactMatch

RNG = numpy.random.default_rng(0)


@pytest.mark.parametrize(
    ("expected", "output", "key", "value", "note"),
    [
        ("refund", " refund\n", None, 1.0, ""),
        ("refund", "Refund", None, 0.0, ""),
        ("refund", "", None, 0.0, "no label in the output"),
        ('{"queue": "refund"}', '{"queue": "refund", "reply": "x"}', "queue", 1.0, ""),
        ('{"queue": "refund"}', '{"queue": "delivery"}', "queue", 0.0, ""),
        ('{"queue": "refund"}', "refund", "queue", 0.0, "no label under 'queue' in the output"),
        ("refund", "refund", "queue", None, "the expected completion has no label under 'queue'"),
    ],
)
def test_score(expected: str, output: str, key: str | None, value: float | None, note: str) -> None:
    assert ExactMatch(label=key).score(SystemAnswer("r1", expected, output)) == Score(
        row_id="r1", scorer="exact-match", value=value, output=output, expected=expected, note=note
    )


def scores(right: str) -> list[Score]:
    """One score per character: + right, - wrong."""
    return [ExactMatch().score(SystemAnswer(f"r{i}", "a", "a" if c == "+" else "b")) for i, c in enumerate(right)]


def test_estimate_is_wilsons() -> None:
    assert ExactMatch().estimate(scores("+" * 27 + "-" * 3), RNG) == Estimate(
        metric="exact-match", value=0.9, low=0.743789174, high=0.965400111, n=30, unit="share",
        signature="id=exact-match|version=1|label=None|level=0.95|interval=wilson",
    )  # fmt: skip


def test_compare_counts_the_discordant_pairs() -> None:
    """The published table: 1 won, 7 lost, 13 tied; interval (-0.517, -0.026), exact p 0.070."""
    pair = PairedScores(scores("+" + "-" * 7 + "+" * 13), scores("-" + "+" * 7 + "+" * 13), "base-plain")
    assert ExactMatch().compare(pair, RNG) == Comparison(
        metric="exact-match", reference="base-plain", p_value=0.0703125, won=1, lost=7, tied=13,
        minimum_detectable=0.334473612,
        difference=Estimate(
            metric="exact-match", value=-0.285714286, low=-0.517232276, high=-0.026003032, n=21, unit="share",
            signature="id=exact-match|version=1|label=None|level=0.95|interval=tango",
        ),
    )  # fmt: skip


def test_equal_outputs_still_have_an_interval() -> None:
    compared = ExactMatch().compare(PairedScores(scores("++-"), scores("++-"), "majority"), RNG)
    assert isinstance(compared.difference, Estimate)
    assert compared.difference.low < 0 < compared.difference.high
    assert (compared.p_value, compared.minimum_detectable, compared.tied) == (1.0, None, 3)
