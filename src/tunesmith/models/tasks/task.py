"""Task: what a model is for. It owns how a row becomes tokens, how rows become passes, and the loss of a pass.

The training loop, the dry run and the rate finder work through it and know no task by name.
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
    """A frozen dataclass, made by `build_task`. Rows are read the same way in training, evaluation and serving."""

    @property
    def settings(self) -> TaskSettings: ...

    @property
    def head(self) -> TaskHead | None:
        """What stands on the base; None for a decoder, whose head is a part of it."""
        ...

    def check(self, settings: TrainSettings) -> None:
        """Raises RecipeError, naming the key, for what the recipe asks and this task cannot have."""
        ...

    def encode(
        self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str
    ) -> Sequence[EncodedRow]:
        """The pieces of a row. Raises DataError with the row's id for whatever cannot be trained, and beyond `window` tokens."""
        ...

    def expected(self, row: Row) -> str:
        """What the row says the answer is, as metrics read it."""
        ...

    def read_back(self, piece: Any, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        """The piece as text, in order, with the weight of every part in the loss: 0 where nothing is predicted."""
        ...

    def check_model(self, model: Any, pieces: Sequence[Any], tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises Misuse when the model does not compute these rows together as it does each alone."""
        ...


class EncoderTask(Task, Protocol):
    """A task whose answer is read from the logits of one forward."""

    @property
    def head(self) -> TaskHead: ...

    @property
    def how(self) -> str:
        """How the model answers, in words."""
        ...

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> EncoderRow:
        """What the model is given of a held-out row. Raises DataError with its id, and beyond `window` tokens."""
        ...

    def scores(self, logits: torch.Tensor) -> list[tuple[str, float]]:
        """Every label of one prediction with its probability, the likeliest first."""
        ...

    def answer(self, row: EncoderRow, logits: torch.Tensor) -> str:
        """What the logits say, [C] of the row or [S, C] of its places, as metrics read it."""
        ...
