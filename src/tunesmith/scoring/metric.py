"""Metric: the shape of a scoring plugin, and what it is handed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from numpy.random import Generator

from tunesmith.artifacts import Comparison, Estimate, Insufficient, Score
from tunesmith.errors import Misuse
from tunesmith.registry import Registry


@dataclass(frozen=True)
class SystemAnswer:
    """What a system said to one test row. `bits` = minus log2 of the probability it gives the expected completion.

    `unclosed`: it is thoughts to its end, so that `output` is empty.
    """

    row_id: str
    expected: str
    output: str
    bits: float | None = None
    unclosed: bool = False


@dataclass(frozen=True)
class PairedScores:
    """Scores of the tuned model and of a reference system, for the same rows in the same order."""

    tuned: Sequence[Score]
    reference: Sequence[Score]
    system: str

    def __post_init__(self) -> None:
        if [score.row_id for score in self.tuned] != [score.row_id for score in self.reference]:
            raise Misuse(
                "the two systems were not scored on the same rows in the same order",
                where=f"tuned against {self.system}",
                hint="score both on one test set and keep its order",
            )


class Metric(Protocol):
    """A frozen dataclass whose fields are its settings; the docstring of its module is its manual page."""

    id: ClassVar[str]
    version: ClassVar[str]
    higher_is_better: ClassVar[bool]
    unit: ClassVar[str]

    def score(self, answer: SystemAnswer) -> Score:
        """One example. `value` is None when the test row itself cannot be scored; a wrong or unreadable output has a value."""
        ...

    def estimate(self, scores: Sequence[Score], rng: Generator) -> Estimate | Insufficient:
        """Many examples: re-aggregated from their scores, with an interval."""
        ...

    def compare(self, pair: PairedScores, rng: Generator) -> Comparison:
        """Tuned minus reference on the same rows, in the metric's own unit and direction."""
        ...


METRICS: Final[Registry[Metric]] = Registry("metric")
