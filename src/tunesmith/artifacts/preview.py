"""What training would do before it does anything: the rows as the model would see them, what is refused, memory, and rates."""

from typing import Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.finding import Place
from tunesmith.artifacts.lengths import Lengths
from tunesmith.artifacts.report import ModelRef, Report, is_empty_text


class WeightedText(Artifact):
    """A run of decoded tokens and how much each of them counts in the loss: 0 is read only, 1 is trained."""

    text: str
    weight: float


class ShownRow(Artifact):
    """One row as it would be trained on, decoded with its control tokens; `tokens` and `trained` are numbers of tokens."""

    place: Place
    tokens: int
    trained: int
    pieces: tuple[WeightedText, ...]


class RejectedRow(Artifact):
    """A row that cannot be trained on as it is. `tokens`, of its longest sequence, is None when it cannot be encoded at all.

    `lost` and `lost_trained` are the tokens, and the trained ones among them, that a cut at the context would take away.
    """

    place: Place
    reason: str
    tokens: int | None = None
    lost: int = 0
    lost_trained: int = 0


class FixedMemory(Artifact):
    """Bytes that training holds from step to step, counted tensor by tensor: weights, their gradients, optimiser state."""

    weights: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """All three together."""
        return self.weights + self.gradients + self.optimizer


class TrainPreview(Report):
    """What `train` would run, up to its first step. Tokens count all steps of the run.

    `distinct_tokens` are left when the rows of each step share every prefix; `computed_tokens` go through the model as the
    run would cut its passes; `shares` says whether prefixes are shared there, and `sharing` why. The estimates are in
    `measured`, made as the two fields at the end say: activation_bytes and training_seconds, from a pass of pass_tokens that
    took pass_seconds on `threads` threads.
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
    """One step of the range test: loss of its rows before the move at `rate`, raw and smoothed (nats a trained token)."""

    rate: float
    loss: float
    smoothed: float


class RateSearch(Report):
    """The curve of a learning-rate range test, and what is read off it.

    `steepest` is where the smoothed loss falls fastest; `diverged` the largest rate that was used before the test stopped
    on the loss; `largest_safe` a tenth of that. Each is None when the curve does not say, and `notes` tell why.
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
