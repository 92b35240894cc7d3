"""Valid JSON: the share of outputs that are JSON of the expected kind.

What it measures: the whole output is a JSON object where the expected completion is an object, an array where it is an
array (RFC 8259, without NaN and Infinity). Text before or after it makes it invalid.
Limits: does not check the content. Rows whose expected completion is not an object or array cannot be scored.
Interval: Wilson (1927); comparison: Tango (1998) interval, exact McNemar test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_proportions, estimate_proportion
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.parse_output import read_json


@METRICS.register
@dataclass(frozen=True)
class ValidJson:
    """No settings but the confidence level."""

    id: ClassVar[str] = "valid-json"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    level: float = 0.95

    def score(self, answer: SystemAnswer) -> Score:
        expected, output = read_json(answer.expected), read_json(answer.output)
        value = None if expected is None else float(type(output) is type(expected))
        note = "the expected completion is not a JSON object or array" if expected is None else ""
        return Score(
            row_id=answer.row_id, scorer=self.id, value=value, output=answer.output, expected=answer.expected, note=note
        )

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_proportion(self, scores, level=self.level)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_proportions(self, pair, level=self.level)
