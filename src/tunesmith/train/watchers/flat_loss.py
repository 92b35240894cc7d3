"""Flat loss: the loss no longer falls though the learning rate is high.

What it finds: over the last `share` of the planned steps (at least `least`), while the learning rate was never under `rate`
of its peak, the mean loss of the second half is not below that of the first by more than `fall` of it, and the noise is
small enough to say so: the fall plus `deviations` standard errors stays under that bound too.
Why it matters: a rate that is too small or too large, a mask without content or frozen tensors show like this; or the rows
have taught what they can, and the steps that are left cost and give nothing.
Limits: a loss that is noisier than its window can resolve is not judged. A short plateau is none. A loss that is low
because the rows are learned is as flat as one that never fell: read the level too.
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

    def look(self, seen: Observation) -> WatchFinding | None:
        size = max(self.least, math.ceil(self.share * seen.steps))
        if seen.step % max(1, size // 4) or len(seen.curve) < size:
            return None
        peak = max(point.learning_rate for point in seen.curve)
        window = seen.curve[-size:]
        if min(point.learning_rate for point in window) < self.rate * peak:
            return None
        losses = numpy.array([point.loss for point in window])
        before, after = losses[: size // 2], losses[size // 2 :]
        fallen = float(before.mean() - after.mean())
        error = math.sqrt(float(before.var(ddof=1)) / len(before) + float(after.var(ddof=1)) / len(after))
        if fallen + self.deviations * error >= self.fall * float(before.mean()):
            return None
        return WatchFinding(
            watcher=self.id,
            step=seen.step,
            severity="warn",
            message=f"the loss has not fallen over the last {size} steps, at high learning rate: "
            f"{float(before.mean()):.4g} in their first half, {float(after.mean()):.4g} in their second",
        )
