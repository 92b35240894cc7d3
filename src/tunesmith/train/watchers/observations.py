"""What watchers see of a run: the step before its update, the loss curve, changes of the trainable tensors, the speed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunesmith.artifacts import CurvePoint


@dataclass(frozen=True)
class StepReading:
    """Loss and gradient norm of step `step` before its update, finite or not, and the ids of the rows they came from."""

    step: int
    loss: float
    gradient_norm: float
    rows: tuple[str, ...]


@dataclass(frozen=True)
class TensorChange:
    """How one trainable tensor has changed since step 0.

    `changed`: its bits differ from those at step 0. `had_gradient`: some gradient since then was not exactly zero; also True
    where the optimizer's state cannot tell.
    """

    name: str
    changed: bool
    had_gradient: bool


@dataclass(frozen=True)
class StepTiming:
    """The last `steps` steps up to `step`: tokens of their rows, tokens computed (a shared prefix once), and seconds taken."""

    step: int
    tokens: int
    distinct_tokens: int
    seconds: float
    steps: int = 1

    @property
    def rate(self) -> float:
        """Computed tokens per second: a measure of work that does not depend on how much the rows share."""
        return self.distinct_tokens / self.seconds


def no_tensors() -> tuple[TensorChange, ...]:
    """No changes, for observations without tensors."""
    return ()


@dataclass(frozen=True)
class Observation:
    """The state of a run of `steps` planned steps at step `step`. `reading` is set only before the update of a step.

    `tensors` reads every trainable tensor, so a watcher calls it only when it needs to. `windows` are the timings of this
    process alone, oldest first. `machine` is the host name.
    """

    step: int
    steps: int
    curve: Sequence[CurvePoint] = ()
    held_out: Sequence[CurvePoint] = ()
    reading: StepReading | None = None
    tensors: Callable[[], Sequence[TensorChange]] = no_tensors
    windows: Sequence[StepTiming] = ()
    machine: str = ""
