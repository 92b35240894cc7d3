"""The task of a recipe on a base of some shape."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from tunesmith.artifacts import Row
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.architecture import Architecture
from tunesmith.models.tasks.classify import EncoderClassify, labels_of
from tunesmith.models.tasks.decoder import DecoderTask
from tunesmith.models.tasks.seq2seq import EncoderDecoder
from tunesmith.models.tasks.tag import EncoderTag, tag_set
from tunesmith.recipe import TaskName, TaskSettings

AnyTask: TypeAlias = DecoderTask | EncoderClassify | EncoderTag | EncoderDecoder

SHAPES: Final[dict[Architecture, str]] = {
    "encoder": "an encoder",
    "decoder": "a decoder",
    "encoder-decoder": "an encoder with a decoder",
}
DOES: Final[dict[Architecture, str]] = {
    "encoder": "task: classify or task: tag",
    "decoder": "task: chat, task: classify or task: text",
    "encoder-decoder": "task: seq2seq",
}
WANTED: Final[dict[TaskName, str]] = {
    "chat": "a decoder, e.g. base: smollm2-135m-instruct",
    "text": "a decoder, e.g. base: smollm2-135m-instruct",
    "classify": "an encoder or a decoder, e.g. base: all-minilm-l6-v2",
    "tag": "an encoder, e.g. base: all-minilm-l6-v2",
    "seq2seq": "an encoder with a decoder, e.g. base: t5-small",
}


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
            return named_task(settings, architecture, labels)
        case "tag", "encoder":
            return named_task(settings, architecture, tag_set(rows))
        case "classify", "decoder":
            return named_task(settings, architecture, label_set(rows))
    return named_task(settings, architecture, ())


def named_task(settings: TaskSettings, architecture: Architecture, labels: tuple[str, ...]) -> AnyTask:
    """The task whose labels are known, in the order of the logits. Raises as `build_task` does."""
    match settings.type, architecture:
        case "classify", "encoder":
            return EncoderClassify(settings, labels)
        case "tag", "encoder":
            return EncoderTag(settings, labels)
        case (("chat" | "classify" | "text"), "decoder"):
            return DecoderTask(settings, labels)
        case "seq2seq", "encoder-decoder":
            return EncoderDecoder(settings)
    said = f"the base is {SHAPES[architecture]}, and task: {settings.type} needs {WANTED[settings.type]}"
    raise RecipeError(
        said, where="task", hint=f"give another base, or a task that this one can do: {DOES[architecture]}"
    )


def class_labels(settings: TaskSettings, rows: Iterable[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted; none for a score. Rows that a task would refuse are left to `encode`."""
    if settings.labels == "score":
        return ()
    return tuple(sorted({label for row in rows for label in labels_of(row)}))


def label_set(rows: Iterable[Row]) -> tuple[str, ...]:
    """The completions of the training rows, sorted: what `classify` on a decoder may answer."""
    return tuple(sorted({row.example.completion for row in rows}))
