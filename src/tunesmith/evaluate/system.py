"""System: one thing that answers the held-out rows, and what it answered. HeldOut: what every way of asking is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunesmith.artifacts import Row
from tunesmith.context import Context
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import Answer


class Expecting(Protocol):
    """A task, as far as an answer is held against what a row expects."""

    def expected(self, row: Row) -> str: ...


class HeldOut(Protocol):
    """The held-out rows, what they expect, and how they are asked."""

    @property
    def rows(self) -> Sequence[Row]: ...

    @property
    def task(self) -> Expecting: ...

    @property
    def settings(self) -> EvaluateSettings: ...

    @property
    def context(self) -> Context: ...


@dataclass(frozen=True)
class System:
    """One system's answers: `how` says in words how it was asked. One that only names labels is scored on labels alone."""

    name: str
    how: str
    answers: Sequence[Answer]
    labels_only: bool = False


def answers_of(asked: HeldOut, outputs: Sequence[str]) -> list[Answer]:
    """What was said to each row beside what it expects."""
    return [Answer(row.row_id, asked.task.expected(row), text) for row, text in zip(asked.rows, outputs, strict=True)]


class Counted:
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
