"""Previews of training: the rows as the model would see them, rejected rows, memory, and the learning-rate search."""

from typing import Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.finding import Place
from tunesmith.artifacts.lengths import Lengths
from tunesmith.artifacts.report import ModelRef, Report, is_empty_text


class WeightedText(Artifact):
    """Consecutive decoded tokens and the loss weight of each: 0 is not trained, 1 is trained fully."""

    text: str
    weight: float


class ShownRow(Artifact):
    """One row as it would be trained on, decoded with its control tokens; `tokens` and `trained` count tokens."""

    place: Place
    tokens: int
    trained: int
    pieces: tuple[WeightedText, ...]


class RejectedRow(Artifact):
    """A row that cannot be trained on. `tokens`, of its longest sequence, is None when it cannot be encoded.

    `lost` and `lost_trained` are the tokens, and the trained ones among them, that truncation to the context would remove.
    """

    place: Place
    reason: str
    tokens: int | None = None
    lost: int = 0
    lost_trained: int = 0


class FixedMemory(Artifact):
    """Bytes that training keeps between steps, counted tensor by tensor: weights, their gradients, optimiser state."""

    weights: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """The sum of all three."""
        return self.weights + self.gradients + self.optimizer


class TrainPreview(Report):
    """What `train` would run, up to its first step. Token counts are over all steps of the run.

    `distinct_tokens` remain when the rows of each step share every prefix; `computed_tokens` go through the model in the
    micro-batches of the run; `shares` tells whether prefixes are shared there, and `sharing` why. `held_back` counts validation
    rows. Estimates are in `measured`, computed as the last two fields describe: activation_bytes and training_seconds, from a
    pass of pass_tokens that took pass_seconds on `threads` threads.
    """

    base: ModelRef
    method: str
    objective: str
    window: int
    rows: int
    rejected: tuple[RejectedRow, ...]
    held_back: int
    sequences: int
    examples: tuple[ShownRow, ...]
    lengths: Lengths
    trained_lengths: Lengths
    steps: int
    epochs: float
    step_tokens: Lengths
    epoch_tokens: int
    tokens: int
    trained_tokens: int
    distinct_tokens: int
    computed_tokens: int
    shares: bool
    sharing: str = Field(default="", exclude_if=is_empty_text)
    trainable_parameters: int
    memory: FixedMemory
    activations_how: str
    time_how: str


class RatePoint(Artifact):
    """One step of the range test: loss of its rows before the update at `rate`, raw and smoothed (nats per trained token)."""

    rate: float
    loss: float
    smoothed: float


class RateSearch(Report):
    """The curve of a learning-rate range test, and the rates derived from it.

    `steepest` is where the smoothed loss falls fastest; `diverged` is the largest rate that was used before the loss ended the
    test; `largest_safe` is a tenth of that. Each is None when the curve does not show it, and `notes` explain why.
    """

    base: ModelRef
    method: str
    optimizer: str
    learning_rate: float
    points: tuple[RatePoint, ...]
    stopped: Literal["end", "rising", "not-finite"]
    steepest: float | None
    diverged: float | None
    largest_safe: float | None
    notes: tuple[str, ...] = ()
