"""Throughput: the machine has become much slower than it was.

What it finds: in the last window of steps, fewer tokens went through the trunk per second than `share` of the median of all
windows so far, of which there must be `least` before it. A window is at least ten steps and ten seconds of steps, without
validation and checkpoints. It names the machine.
Why it matters: another job on the same cores, a throttled card or a full disk is found while it can be helped. Never stops
the run: a slow step is as right as a quick one.
Limits: a machine that is slow from the start is its own measure. Windows of very long rows do more work per token, and look
slower. It depends on the clock, so it is told and measured and is no part of the report's results.
Reference: none; half of the median is a choice.
"""

from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment


@WATCHERS.register
@dataclass(frozen=True)
class Throughput:
    """Looks at the step that closes a window."""

    id: ClassVar[str] = "throughput"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = True

    share: float = 0.5
    least: int = 5

    def look(self, seen: Observation) -> WatchFinding | None:
        if len(seen.windows) <= self.least or seen.windows[-1].step != seen.step:
            return None
        last = seen.windows[-1]
        usual = median(window.rate for window in seen.windows[:-1])
        if last.rate >= self.share * usual:
            return None
        return WatchFinding(
            watcher=self.id,
            step=seen.step,
            severity="warn",
            message=f"{seen.machine} computed {last.rate:,.0f} tokens a second over the last {last.steps} steps, "
            f"and {usual:,.0f} as a rule",
        )
