"""The task of a recipe on a base of some shape."""

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
    """The task; `rows` are the training rows, which say what labels there are.

    Without rows the task only measures: its labels are none. Raises RecipeError for a task that such a base cannot do, and
    DataError when all rows have one label.
    """
    match settings.type, architecture:
        case "classify", "encoder":
            labels = class_labels(settings, rows)
            if settings.labels == "single" and len(labels) == 1:
                said = f"every training row has the label {labels[0][:60]!r}, and there is nothing to tell apart"
                hint = "look for the rows of the other labels: in other files, behind `--limit`, or in the audit's quarantine"
                raise DataError(said, where="data.train", hint=hint)
            return build_task_with_labels(settings, architecture, labels)
        case "tag", "encoder":
            return build_task_with_labels(settings, architecture, tag_set(rows))
        case "classify", "decoder":
            return build_task_with_labels(settings, architecture, answer_labels(rows))
    return build_task_with_labels(settings, architecture, ())


def build_task_with_labels(settings: TaskSettings, architecture: Architecture, labels: tuple[str, ...]) -> AnyTask:
    """The task whose labels are known, in the order of the logits. Raises as `build_task` does."""
    if wrong := task_mismatch(settings.type, architecture):
        raise RecipeError(wrong[0], where="task", hint=wrong[1])
    match settings.type, architecture:
        case "classify", "encoder":
            return ClassifyTask(settings, labels)
        case "tag", _:
            return TagTask(settings, labels)
        case "seq2seq", _:
            return Seq2seqTask(settings)
    return DecoderTask(settings, labels)


def class_labels(settings: TaskSettings, rows: Iterable[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted; none for a score. Rows that a task would refuse are left to `encode`."""
    if settings.labels == "score":
        return ()
    return tuple(sorted({label for row in rows for label in row_labels(row)}))


def answer_labels(rows: Iterable[Row]) -> tuple[str, ...]:
    """The completions of the training rows, sorted: what `classify` on a decoder may answer."""
    return tuple(sorted({row.example.completion for row in rows}))
