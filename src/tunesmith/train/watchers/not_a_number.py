"""Not a number: the loss or the gradient of a step is no finite number.

What it finds: a loss or a gradient norm that is NaN or infinite, before the weights move. It names the rows of the passes
where the loss broke, or all rows of the step when only the gradient did.
Why it matters: one such update writes NaN into every weight, and all later steps are lost. It always stops the run.
Limits: an overflow that is clipped or masked before it reaches the loss is not seen. The rows named are those of a pass, not
one row.
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
    """Looks before the weights move, at every step."""

    id: ClassVar[str] = "not-a-number"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "before"
    timed: ClassVar[bool] = False

    def look(self, seen: Observation) -> WatchFinding | None:
        read = seen.reading
        if read is None or (math.isfinite(read.loss) and math.isfinite(read.gradient_norm)):
            return None
        return WatchFinding(
            watcher=self.id,
            step=read.step,
            severity="stop",
            message=f"loss {read.loss}, gradient norm {read.gradient_norm}",
            names=read.rows,
        )
