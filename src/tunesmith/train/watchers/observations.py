"""What there is to see of a run: the step before the weights move, the curve, the tensors that move, the speed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.artifacts import CurvePoint


@dataclass(frozen=True)
class StepReading:
    """Loss and gradient norm of step `step` as they were computed, finite or not, and the ids of the rows they came from."""

    step: int
    loss: float
    gradient_norm: float
    rows: tuple[str, ...]


@dataclass(frozen=True)
class TensorChange:
    """One trainable tensor after some steps.

    `moved`: its bits are no longer those of step 0. `pushed`: some gradient since then was not exactly zero; True where the
    optimiser's state does not tell.
    """

    name: str
    moved: bool
    pushed: bool


@dataclass(frozen=True)
class StepTiming:
    """The last `steps` steps up to `step`: tokens of their rows, tokens through the trunk, seconds they took."""

    step: int
    tokens: int
    distinct_tokens: int
    seconds: float
    steps: int = 1

    @property
    def rate(self) -> float:
        """Tokens through the trunk per second: the work that is done, however much the rows share."""
        return self.distinct_tokens / self.seconds


def no_tensors() -> tuple[TensorChange, ...]:
    """For a look that reads no tensors."""
    return ()


@dataclass(frozen=True)
class Observation:
    """One look at a run of `steps` planned steps, after step `step`; `reading` is there only before the weights move.

    `tensors` reads every trainable tensor and is called only by a watcher that needs it. `windows` are the speeds of this
    process alone, oldest first.
    """

    step: int
    steps: int
    curve: Sequence[CurvePoint] = ()
    held_out: Sequence[CurvePoint] = ()
    reading: StepReading | None = None
    tensors: Callable[[], Sequence[TensorChange]] = no_tensors
    windows: Sequence[StepTiming] = ()
    machine: str = ""
