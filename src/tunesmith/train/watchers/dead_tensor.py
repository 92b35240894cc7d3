"""Dead tensor: a tensor that should learn and does not.

What it finds: trainable tensors whose bits are those of step 0 after `after` steps or more, or whose gradient was exactly zero
in every step so far, so that weight decay alone moves them. It looks once the learning rate no longer rises, and at the last
step. LoRA's A has no gradient in step 1, because B is zero, and one from step 2 on; before step 3 nothing is judged.
Why it matters: an adapter on a layer that is never reached, a tensor that the optimiser does not have, or an update that
rounds to nothing in bf16 costs memory and trains nothing, and the loss alone does not show it.
Limits: a tensor that learns a little and uselessly is alive. Whether there was a gradient is read from the optimiser's
moments; states of 8 bits do not tell, so there only the bits are compared. Each process looks at its own part of a tensor.
Reference: Hu et al. 2021, LoRA, arXiv:2106.09685, section 4.1, for B = 0 at the start.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment

MIN_STEP: Final = 3
MAX_LISTED_TENSORS: Final = 3
"""Names in the message; the finding holds all."""


@WATCHERS.register
@dataclass(frozen=True)
class DeadTensor:
    """Looks once, and at the end; reading the tensors costs about as much as a step of a small model."""

    id: ClassVar[str] = "dead-tensor"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    after: int = 10

    def look(self, seen: Observation) -> WatchFinding | None:
        if not self._due(seen):
            return None
        tensors = seen.tensors()
        unmoved = tuple(one.name for one in tensors if one.pushed and not one.moved)
        unpushed = tuple(one.name for one in tensors if not one.pushed)
        told = [
            *_describe_tensors(unpushed, len(tensors), "have had no gradient"),
            *_describe_tensors(unmoved, len(tensors), "have a gradient and have not moved by a bit"),
        ]
        if not told:
            return None
        return WatchFinding(
            watcher=self.id,
            step=seen.step,
            severity="warn",
            message=f"after {seen.step} steps, {'; '.join(told)}",
            names=(*unpushed, *unmoved),
        )

    def _due(self, seen: Observation) -> bool:
        if seen.step < MIN_STEP:
            return False
        if seen.step == seen.steps:
            return True
        first = seen.step == self.after
        return seen.step >= self.after and _rate_not_rising(seen, -1) and (first or not _rate_not_rising(seen, -2))


def _rate_not_rising(seen: Observation, at: int) -> bool:
    """Whether the learning rate of that point was not above the one before it."""
    return seen.curve[at].learning_rate <= seen.curve[at - 1].learning_rate


def _describe_tensors(names: tuple[str, ...], of: int, what: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - MAX_LISTED_TENSORS} more" if len(names) > MAX_LISTED_TENSORS else ""
    return [f"{len(names)} of {of} trainable tensors {what}: {', '.join(names[:MAX_LISTED_TENSORS])}{more}"]
