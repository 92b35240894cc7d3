"""Dead tensor: a trainable tensor that does not train.

What it finds: trainable tensors whose bits after `after` steps or more are still those of step 0, or whose gradient was
exactly zero in every step so far, so that only weight decay changes them. It looks once the warm-up is over, and at the last
step. It never looks before step 3: LoRA's A has no gradient in step 1, because B is zero, and has one from step 2 on.
Why it matters: an adapter on a layer that is never reached, a tensor missing from the optimizer, or updates that round to
nothing in bf16 cost memory and train nothing, and the loss alone does not show it.
Limits: a tensor that learns a little, but nothing useful, passes. Gradients are read from the optimizer's moments; 8-bit
moments cannot be read, so there only the bits are compared. Each process looks at its own slice of a tensor.
Reference: Hu et al. 2021, LoRA, arXiv:2106.09685, section 4.1, for B = 0 at the start.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment

MIN_STEP: Final = 3
MAX_LISTED_TENSORS: Final = 3
"""Tensors named in the message; the finding holds all."""


@WATCHERS.register
@dataclass(frozen=True)
class DeadTensor:
    """Looks once after the warm-up, and at the last step; reading the tensors costs about as much as a step of a small model."""

    id: ClassVar[str] = "dead-tensor"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    after: int = 10

    def look(self, observation: Observation) -> WatchFinding | None:
        if not self._due(observation):
            return None
        tensors = observation.tensors()
        unchanged = tuple(tensor.name for tensor in tensors if tensor.had_gradient and not tensor.changed)
        no_gradient = tuple(tensor.name for tensor in tensors if not tensor.had_gradient)
        problems = [
            *_describe_tensors(no_gradient, len(tensors), "have had no gradient"),
            *_describe_tensors(unchanged, len(tensors), "have a gradient and have not moved by a bit"),
        ]
        if not problems:
            return None
        return WatchFinding(
            watcher=self.id,
            step=observation.step,
            severity="warn",
            message=f"after {observation.step} steps, {'; '.join(problems)}",
            names=(*no_gradient, *unchanged),
        )

    def _due(self, observation: Observation) -> bool:
        if observation.step < MIN_STEP:
            return False
        if observation.step == observation.steps:
            return True
        first = observation.step == self.after
        return (
            observation.step >= self.after
            and _rate_not_rising(observation, -1)
            and (first or not _rate_not_rising(observation, -2))
        )


def _rate_not_rising(observation: Observation, at: int) -> bool:
    """Whether the learning rate at that point of the curve was not above the one before it."""
    return observation.curve[at].learning_rate <= observation.curve[at - 1].learning_rate


def _describe_tensors(names: tuple[str, ...], total: int, problem: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MAX_LISTED_TENSORS} more" if len(names) > MAX_LISTED_TENSORS else ""
    return [f"{len(names)} of {total} trainable tensors {problem}: {', '.join(names[:MAX_LISTED_TENSORS])}{more}"]
