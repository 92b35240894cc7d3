"""Task types: how a row becomes tokens to train on, how rows become passes, what loss they have, what answer to expect."""

from tunesmith.models.tasks.batching import PACKED_BATCHING, Batching, EncodedRow, tokens_beyond_window
from tunesmith.models.tasks.build import AnyTask, answer_labels, build_task, build_task_with_labels
from tunesmith.models.tasks.decoder import DecoderTask
from tunesmith.models.tasks.seq2seq import Seq2seqTask
from tunesmith.models.tasks.task import EncoderTask, Task

__all__ = [
    "PACKED_BATCHING",
    "AnyTask",
    "DecoderTask",
    "EncodedRow",
    "Seq2seqTask",
    "EncoderTask",
    "Batching",
    "Task",
    "tokens_beyond_window",
    "build_task",
    "answer_labels",
    "build_task_with_labels",
]
