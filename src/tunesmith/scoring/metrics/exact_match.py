"""Exact match: the share of outputs whose label is the expected one.

What it measures: whether the label, which is the whole output or the value of one key of its JSON, equals the expected label
without surrounding white space. Case matters. For classification this is accuracy.
Limits: all wrong outputs count the same; with uneven classes, predicting the majority class alone scores high.
Interval: Wilson (1927); comparison: Tango (1998) interval, exact McNemar test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_proportions, estimate_proportion
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.parse_output import read_label


@METRICS.register
@dataclass(frozen=True)
class ExactMatch:
    """`label`: key of the completion's JSON to read; the whole completion when None."""

    id: ClassVar[str] = "exact-match"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    label: str | None = None
    level: float = 0.95

    def score(self, answer: SystemAnswer) -> Score:
        return label_score(self.id, answer, self.label)

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_proportion(self, scores, level=self.level)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_proportions(self, pair, level=self.level)


def label_score(scorer: str, answer: SystemAnswer, key: str | None) -> Score:
    """1 when the output has the expected label, else 0; None when the test row has no label."""
    expected, predicted = read_label(answer.expected, key), read_label(answer.output, key)
    value = None if expected is None else float(expected == predicted)
    where = "" if key is None else f" under {key!r}"
    note = f"the expected completion has no label{where}" if expected is None else ""
    note = f"no label{where} in the output" if expected is not None and predicted is None else note
    return Score(
        row_id=answer.row_id, scorer=scorer, value=value, output=answer.output, expected=answer.expected, note=note
    )
