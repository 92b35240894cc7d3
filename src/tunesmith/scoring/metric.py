"""Metric: the protocol of a scoring plugin, and the values that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.errors import Misuse
from tunesmith.registry import Registry


@dataclass(frozen=True)
class SystemAnswer:
    """The answer of a system to one test row. `bits` is minus log2 of the probability that it gives the expected completion.

    `unclosed`: the completion is reasoning to its end, so `output` is empty.
    """

    row_id: str
    expected: str
    output: str
    bits: float | None = None
    unclosed: bool = False


@dataclass(frozen=True)
class PairedScores:
    """Scores of the tuned model and of the reference `system`, for the same rows in the same order."""

    tuned: Sequence[Score]
    reference: Sequence[Score]
    system: str

    def __post_init__(self) -> None:
        if [score.row_id for score in self.tuned] != [score.row_id for score in self.reference]:
            raise Misuse(
                "the two systems were not scored on the same rows in the same order",
                where=f"tuned against {self.system}",
                hint="score both systems on one test set, in the same order",
            )


class Metric(Protocol):
    """A frozen dataclass whose fields are its settings; the docstring of its module is its manual page."""

    id: ClassVar[str]
    version: ClassVar[str]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]

    def score(self, answer: SystemAnswer) -> Score:
        """Score of one answer. `value` is None when the test row cannot be scored; a wrong or unreadable output has a value."""
        ...

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        """The metric over many scores, with an interval."""
        ...

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        """Tuned minus reference on the same rows, in the metric's unit."""
        ...


METRICS: Final[Registry[Metric]] = Registry("metric")
