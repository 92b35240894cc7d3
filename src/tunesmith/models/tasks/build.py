"""Build the task of a recipe for a base of some architecture."""

from collections.abc import Iterable
from typing import TypeAlias

from tunesmith.artifacts import Row
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.task_support import Architecture, task_mismatch
from tunesmith.models.tasks.classify import ClassifyTask, row_labels
from tunesmith.models.tasks.decoder import DecoderTask
from tunesmith.models.tasks.seq2seq import Seq2seqTask
from tunesmith.models.tasks.tag import TagTask, tag_set
from tunesmith.recipe import TaskSettings

AnyTask: TypeAlias = DecoderTask | ClassifyTask | TagTask | Seq2seqTask


def build_task(settings: TaskSettings, architecture: Architecture, rows: Iterable[Row] = ()) -> AnyTask:
    """Build the task, with the labels of the training rows.

    Without rows the task has no labels and can only measure. Raises RecipeError if the architecture does not support the
    task, DataError if all rows have the same label.
    """
    match settings.type, architecture:
        case "classify", "encoder":
            labels = class_labels(settings, rows)
            if settings.labels == "single" and len(labels) == 1:
                what = f"every training row has the label {labels[0][:60]!r}; classification needs at least two"
                hint = "check `data.train` for files with other labels, `--limit`, and the audit's quarantine"
                raise DataError(what, where="data.train", hint=hint)
            return build_task_with_labels(settings, architecture, labels)
        case "tag", "encoder":
            return build_task_with_labels(settings, architecture, tag_set(rows))
        case "classify", "decoder":
            return build_task_with_labels(settings, architecture, answer_labels(rows))
    return build_task_with_labels(settings, architecture, ())


def build_task_with_labels(settings: TaskSettings, architecture: Architecture, labels: tuple[str, ...]) -> AnyTask:
    """Build the task with given labels, in the order of the logits. Raises RecipeError as `build_task` does."""
    if mismatch := task_mismatch(settings.type, architecture):
        problem, hint = mismatch
        raise RecipeError(problem, where="task", hint=hint)
    match settings.type, architecture:
        case "classify", "encoder":
            return ClassifyTask(settings, labels)
        case "tag", _:
            return TagTask(settings, labels)
        case "seq2seq", _:
            return Seq2seqTask(settings)
    return DecoderTask(settings, labels)


def class_labels(settings: TaskSettings, rows: Iterable[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted; none for a score. `encode` rejects rows that the task cannot use."""
    if settings.labels == "score":
        return ()
    return tuple(sorted({label for row in rows for label in row_labels(row)}))


def answer_labels(rows: Iterable[Row]) -> tuple[str, ...]:
    """The completions of the training rows, sorted: the possible answers of `classify` on a decoder."""
    return tuple(sorted({row.example.completion for row in rows}))
