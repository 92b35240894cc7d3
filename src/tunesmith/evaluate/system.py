"""System: one thing that answers the held-out rows, and what it answered. HeldOut: what every way of asking is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunesmith.artifacts import Row
from tunesmith.context import Context
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import SystemAnswer


class ExpectedAnswers(Protocol):
    """A task, as far as an answer is held against what a row expects."""

    def expected(self, row: Row) -> str: ...


class Evaluation(Protocol):
    """The held-out rows, what they expect, and how they are asked."""

    @property
    def rows(self) -> Sequence[Row]: ...

    @property
    def task(self) -> ExpectedAnswers: ...

    @property
    def settings(self) -> EvaluateSettings: ...

    @property
    def context(self) -> Context: ...


@dataclass(frozen=True)
class System:
    """One system's answers: `how` says in words how it was asked. One that only names labels is scored on labels alone."""

    name: str
    how: str
    answers: Sequence[SystemAnswer]
    labels_only: bool = False


def pair_answers(asked: Evaluation, outputs: Sequence[str]) -> list[SystemAnswer]:
    """What was said to each row beside what it expects."""
    return [
        SystemAnswer(row.row_id, asked.task.expected(row), text) for row, text in zip(asked.rows, outputs, strict=True)
    ]


class ProgressCounter:
    """Turns the batch reports of whatever answers into progress."""

    def __init__(self, context: Context, label: str, total: int) -> None:
        self._steps = iter(context.progress.track(range(total), label=label, total=total))

    def __enter__(self) -> Callable[[int], None]:
        return self._add

    def _add(self, rows: int) -> None:
        for _ in range(rows):
            next(self._steps, None)

    def __exit__(self, *error: object) -> None:
        for _ in self._steps:
            pass


def text_system(name: str, how: str, answers: Sequence[SystemAnswer]) -> System:
    """A system that writes texts: how many are thoughts to their end, and how many say nothing at all, is told wherever its
    scores are shown, for neither can score."""
    unclosed = sum(answer.unclosed for answer in answers)
    empty = sum(not answer.output.strip() for answer in answers) - unclosed
    told = {"never close their thoughts and count as empty": unclosed, "are empty": empty}
    parts = [f"; {count} of {len(answers)} answers {what}" for what, count in told.items() if count]
    return System(name, "".join([how, *parts]), answers)
