"""ROUGE-L: how much of the expected reply's words the output has in the same order, and the other way round (0 to 100).

What it measures: F1 of precision and recall of the longest common subsequence of words (Lin 2004, Text Summarization Branches
Out, 74-81), over the whole text. Words as in the `rouge_score` package: lower case, runs of a-z and 0-9, no stemming. Many
examples get the mean.
Limits: measures order and spelling, not meaning. Only words in the letters a-z count: a row whose expected reply has none
cannot be scored, and chrF is the metric for it. An output whose reply cannot be parsed counts as empty.
Interval: BCa bootstrap over rows; comparison: Student t on paired differences.
Reference: rouge_score 0.1.2, `RougeScorer(["rougeL"])`, whose F-measure this gives times 100.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.scoring.aggregate import compare_means, estimate_mean
from tunesmith.scoring.metric import METRICS, PairedScores, SystemAnswer
from tunesmith.scoring.parse_output import read_reply
from tunesmith.stats.bootstrap import Resampling

WORD_PATTERN: Final = re.compile(r"[a-z0-9]+")
SCORE_BOUNDS: Final = (0.0, 100.0)


@METRICS.register
@dataclass(frozen=True)
class RougeL:
    """`reply`: key of the completion's JSON to read; the whole completion when None."""

    id: ClassVar[str] = "rouge-l"
    version: ClassVar[str] = "1"
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "points"

    reply: str | None = None
    level: float = 0.95
    resamples: int = 2000

    def score(self, answer: SystemAnswer) -> Score:
        expected, output = read_reply(answer.expected, self.reply), read_reply(answer.output, self.reply)
        words = rouge_words(expected or "")
        value = 100.0 * rouge_l_f1(words, rouge_words(output or "")) if words else None
        note = "no reply in the output" if expected is not None and output is None else ""
        if expected is None:
            note = "the expected completion has no reply"
        elif not words:
            note = "the expected reply has no word in the letters a-z, which are all that ROUGE-L reads"
        return Score(
            row_id=answer.row_id, scorer=self.id, value=value, output=answer.output, expected=answer.expected, note=note
        )

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        return estimate_mean(self, scores, bounds=SCORE_BOUNDS, how=Resampling(self.resamples, self.level), rng=rng)

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        return compare_means(self, pair, bounds=SCORE_BOUNDS, level=self.level)


def rouge_words(text: str) -> list[str]:
    """Runs of letters a-z and digits, in lower case."""
    return WORD_PATTERN.findall(text.lower())


def rouge_l_f1(expected: Sequence[str], output: Sequence[str]) -> float:
    """F1 of the longest common subsequence, 0 to 1."""
    shared = longest_common_subsequence(expected, output)
    return 2.0 * shared / (len(expected) + len(output)) if shared else 0.0


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Its length, by Hunt and Szymanski (1977): the longest increasing sequence of matching positions."""
    positions: dict[str, list[int]] = {}
    for at in range(len(second) - 1, -1, -1):
        positions.setdefault(second[at], []).append(at)
    ends: list[int] = []
    for word in first:
        for at in positions.get(word, ()):
            where = bisect_left(ends, at)
            ends[where : where + 1] = [at]
    return len(ends)
