"""Task types: how a row becomes tokens to train on, how rows become passes, what loss they have, what answer to expect."""

from tunesmith.models.tasks.build import AnyTask, build_task, label_set, named_task
from tunesmith.models.tasks.decoder import DecoderTask
from tunesmith.models.tasks.passes import PACKED, EncodedRow, Passes, beyond
from tunesmith.models.tasks.seq2seq import EncoderDecoder
from tunesmith.models.tasks.task import EncoderTask, Task

__all__ = [
    "PACKED",
    "AnyTask",
    "DecoderTask",
    "EncodedRow",
    "EncoderDecoder",
    "EncoderTask",
    "Passes",
    "Task",
    "beyond",
    "build_task",
    "label_set",
    "named_task",
]
