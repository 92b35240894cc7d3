"""Not a number: the loss or the gradient of a step is not finite.

What it finds: a loss or gradient norm that is NaN or infinite, before the weights are updated. It names the rows of the
micro-batches with such a loss, or all rows of the step when only the gradient is not finite.
Why it matters: one such update writes NaN into every weight, and all later steps are lost. It always stops the run.
Limits: an overflow that is clipped or masked before it reaches the loss is not noticed. The rows named are those of a
micro-batch, not a single row.
Reference: IEEE 754-2019, section 6.2, operations with NaNs.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment


@WATCHERS.register
@dataclass(frozen=True)
class NotANumber:
    """Looks before the update of every step."""

    id: ClassVar[str] = "not-a-number"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "before"
    timed: ClassVar[bool] = False

    def look(self, observation: Observation) -> WatchFinding | None:
        reading = observation.reading
        if reading is None or (math.isfinite(reading.loss) and math.isfinite(reading.gradient_norm)):
            return None
        return WatchFinding(
            watcher=self.id,
            step=reading.step,
            severity="stop",
            message=f"loss {reading.loss}, gradient norm {reading.gradient_norm}",
            names=reading.rows,
        )
