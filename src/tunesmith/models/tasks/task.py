"""The interface of a task: how a row becomes tokens, how rows become micro-batches, and the loss of a micro-batch.

The training loop, the dry run and the learning-rate finder use this interface and name no task.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.models.heads import TaskHead
from tunesmith.models.tasks.batching import Batching, EncodedRow
from tunesmith.models.tasks.padded import EncoderRow
from tunesmith.recipe import TaskSettings, TrainSettings


class Task(Batching, Protocol):
    """A frozen dataclass made by `build_task`. Training, evaluation and serving encode rows with it alike."""

    @property
    def settings(self) -> TaskSettings: ...

    @property
    def head(self) -> TaskHead | None:
        """The head on the base; None for a decoder, whose head is part of the base."""
        ...

    def check(self, settings: TrainSettings) -> None:
        """Raises RecipeError, naming the key, for settings that this task does not support."""
        ...

    def encode(
        self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str
    ) -> Sequence[EncodedRow]:
        """Encode a row as one sequence or several.

        Raises DataError with the row's id if it cannot be trained on, or has more than `window` tokens.
        """
        ...

    def expected(self, row: Row) -> str:
        """The row's expected answer, as metrics read it."""
        ...

    def read_back(self, piece: Any, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        """Decode an encoded row into (text, weight in the loss) parts, in order; weight 0 where nothing is predicted."""
        ...

    def check_model(self, model: Any, pieces: Sequence[Any], tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises Misuse if the model computes these rows differently in a batch than each alone."""
        ...


class EncoderTask(Task, Protocol):
    """A task whose answer is read from the logits of one forward pass."""

    @property
    def head(self) -> TaskHead: ...

    @property
    def how(self) -> str:
        """How the model answers, for reports."""
        ...

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> EncoderRow:
        """Encode what the model sees of a validation row, without its targets.

        Raises DataError with the row's id if it cannot be read, or has more than `window` tokens.
        """
        ...

    def scores(self, logits: torch.Tensor) -> list[tuple[str, float]]:
        """Every label with its probability for one prediction, most likely first."""
        ...

    def answer(self, row: EncoderRow, logits: torch.Tensor) -> str:
        """The answer of logits [labels] of a row, or [tokens, labels] of its tagged tokens, as metrics read it."""
        ...
