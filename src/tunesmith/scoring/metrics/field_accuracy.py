"""Field accuracy: the mean share of a completion's fields that are exactly right.

What it measures: of the fields in the expected completion or the output (keys of its JSON, or of JSON objects under them), the
share with equal values, ignoring surrounding white space. An extra field is as wrong as a missing one; null and the empty
text are equal. An output that is not JSON, or has none of the keys, scores 0.
Limits: a value spelled differently is wrong; all fields weigh the same.
Interval: BCa bootstrap over rows; comparison: Student t on the paired differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_means, estimate_mean
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.parse_output import read_fields
from tunesmith.stats.bootstrap import Resampling

SCORE_BOUNDS: Final = (0.0, 1.0)


@METRICS.register
@dataclass(frozen=True)
class FieldAccuracy:
    """`fields`: keys of the completion's JSON to read."""

    id: ClassVar[str] = "field-accuracy"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "share"

    fields: tuple[str, ...] = ("fields",)
    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        expected, output = read_fields(answer.expected, self.fields), read_fields(answer.output, self.fields)
        value, note = _correct_share(expected, output)
        return Score(
            row_id=answer.row_id, scorer=self.id, value=value, output=answer.output, expected=answer.expected, note=note
        )

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_mean(self, scores, bounds=SCORE_BOUNDS, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_means(self, pair, bounds=SCORE_BOUNDS, level=self.level)


def _correct_share(expected: dict[str, str] | None, output: dict[str, str] | None) -> tuple[float | None, str]:
    if expected is None:
        return None, "the expected completion has none of the fields"
    if output is None:
        return 0.0, "no fields in the output"
    names = expected.keys() | output.keys()
    correct = sum(name in expected and expected[name] == output.get(name) for name in names)
    return correct / len(names), ""
