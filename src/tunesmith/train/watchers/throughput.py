"""Throughput: the machine has become much slower than before.

What it finds: the last window of steps computed fewer tokens per second than `share` times the median of all windows before,
of which there must be at least `least`. A window is at least ten steps and ten seconds of steps, without validation and
checkpoints. The finding names the machine.
Why it matters: another job on the same cores, a throttled GPU or a full disk is noticed while it can still be fixed. It never
stops the run: slow steps are as correct as fast ones.
Limits: a machine that is slow from the start is not noticed. Windows with very long rows do more work per token and look
slower. It depends on the clock, so it is printed and measured but is not part of the report's results.
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
    """Looks at the step that completes a window."""

    id: ClassVar[str] = "throughput"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = True

    share: float = 0.5
    least: int = 5

    def look(self, observation: Observation) -> WatchFinding | None:
        if len(observation.windows) <= self.least or observation.windows[-1].step != observation.step:
            return None
        last = observation.windows[-1]
        usual = median(window.rate for window in observation.windows[:-1])
        if last.rate >= self.share * usual:
            return None
        return WatchFinding(
            watcher=self.id,
            step=observation.step,
            severity="warn",
            message=f"{observation.machine} computed {last.rate:,.0f} tokens a second over the last {last.steps} steps, "
            f"and {usual:,.0f} as a rule",
        )
