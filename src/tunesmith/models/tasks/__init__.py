"""Task types: how rows become tokens and micro-batches, what their loss is, and which answer is expected."""

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
