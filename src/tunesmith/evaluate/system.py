"""Systems under evaluation and their answers, and the interface that every kind of evaluation has in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunesmith.artifacts import Row
from tunesmith.context import Context
from tunesmith.recipe import EvaluateSettings
from tunesmith.scoring import SystemAnswer


class ExpectedAnswers(Protocol):
    """The part of a task that gives the expected answer of a row."""

    def expected(self, row: Row) -> str: ...


class Evaluation(Protocol):
    """The held-out rows, their expected answers, and the settings of the evaluation."""

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
    """One system's answers. `how` describes in words how it answered. A `labels_only` system is scored by label metrics alone."""

    name: str
    how: str
    answers: Sequence[SystemAnswer]
    labels_only: bool = False


def pair_answers(evaluation: Evaluation, outputs: Sequence[str]) -> list[SystemAnswer]:
    """Each row's output beside its expected answer."""
    return [
        SystemAnswer(row.row_id, evaluation.task.expected(row), text)
        for row, text in zip(evaluation.rows, outputs, strict=True)
    ]


class ProgressCounter:
    """Context manager that turns batch reports (rows finished since the last call) into a progress bar."""

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
    """A system that generates text. `how` also counts the answers with unclosed reasoning and the empty ones, since neither can
    score; it is shown wherever the scores are."""
    unclosed = sum(answer.unclosed for answer in answers)
    empty = sum(not answer.output.strip() for answer in answers) - unclosed
    counts = {"never close their thoughts and count as empty": unclosed, "are empty": empty}
    parts = [f"; {count} of {len(answers)} answers {what}" for what, count in counts.items() if count]
    return System(name, "".join([how, *parts]), answers)
