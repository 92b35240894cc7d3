"""Flat loss: the loss has stopped falling although the learning rate is still high.

What it finds: over the last `share` of the planned steps (`least` steps or more), while the learning rate stayed at or above
`rate` times its peak, the mean loss of the second half is lower than that of the first by less than the fraction `fall`. The
noise must be small enough to say so: the fall plus `deviations` standard errors must stay below that bound as well.
Why it matters: typical causes are a learning rate that is too low or too high, a loss mask without content, or frozen
tensors. Or the model has learned what the rows can teach, and the remaining steps cost time for nothing.
Limits: a loss that is too noisy for its window is not judged. A short plateau is not reported. A loss that is low because
the rows are learned is as flat as one that never fell: look at its level too.
Reference: Schuirmann 1987, two one-sided tests, J. Pharmacokinetics and Biopharmaceutics 15, for showing that a change is
small and not only unproven.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment


@WATCHERS.register
@dataclass(frozen=True)
class FlatLoss:
    """Looks four times per window."""

    id: ClassVar[str] = "flat-loss"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    share: float = 0.25
    least: int = 100
    fall: float = 0.01
    deviations: float = 2.0
    rate: float = 0.5

    def look(self, observation: Observation) -> WatchFinding | None:
        size = max(self.least, math.ceil(self.share * observation.steps))
        if observation.step % max(1, size // 4) or len(observation.curve) < size:
            return None
        peak = max(point.learning_rate for point in observation.curve)
        window = observation.curve[-size:]
        if min(point.learning_rate for point in window) < self.rate * peak:
            return None
        losses = numpy.array([point.loss for point in window])
        before, after = losses[: size // 2], losses[size // 2 :]
        fall = float(before.mean() - after.mean())
        error = math.sqrt(float(before.var(ddof=1)) / len(before) + float(after.var(ddof=1)) / len(after))
        if fall + self.deviations * error >= self.fall * float(before.mean()):
            return None
        return WatchFinding(
            watcher=self.id,
            step=observation.step,
            severity="warn",
            message=f"the loss has not fallen over the last {size} steps, at high learning rate: "
            f"{float(before.mean()):.4g} in their first half, {float(after.mean()):.4g} in their second",
        )
