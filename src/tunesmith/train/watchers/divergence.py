"""Divergence: the loss has left its lowest level and stays far above it.

What it finds: at least `share` of the last `window` losses lie above the running low by more than `deviations` standard
deviations of the loss's own noise, and by more than `rise` of the low (of one nat where the low is smaller). The low is the
smallest median of the windows before, up to `reach` steps back; the noise is 1.4826 times the median absolute deviation
within a window, the middle one of all windows, so that neither a spike nor a falling loss widens it. The run is stopped when
the losses lie as far above the very first loss too, with `collapse` in the place of `rise`: then the model has become worse
than its base. Before that it is a warning.
Why it matters: the steps after it are wasted, and the weights are worse than those of the last checkpoint.
Limits: needs three windows, so a run of under 60 steps is never judged. A spike shorter than 16 of 20 steps is none. A
wandering loss, as of rows that are not shuffled, has more noise than its windows show, and may be warned about.
Reference: Hampel 1974, The influence curve and its role in robust estimation, JASA 69, for the deviation; the rule is our
own. A test simulates 300 curves of 1,000 steps that are noise alone (normal, skewed, heavy-tailed): no alarm on any.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment

STD_PER_MAD = 1.4826
"""Standard deviations in one median absolute deviation of a normal distribution."""


@WATCHERS.register
@dataclass(frozen=True)
class Divergence:
    """Looks once per window."""

    id: ClassVar[str] = "divergence"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    window: int = 20
    share: float = 0.8
    deviations: float = 4.0
    rise: float = 0.25
    collapse: float = 1.0
    reach: int = 2000

    def look(self, seen: Observation) -> WatchFinding | None:
        if seen.step % self.window or len(seen.curve) < 3 * self.window:
            return None
        losses = numpy.array([point.loss for point in seen.curve[-self.reach :]])
        recent, earlier = losses[-self.window :], losses[: -self.window]
        windows = earlier[len(earlier) % self.window :].reshape(-1, self.window)
        levels = numpy.median(windows, axis=1)
        noise = STD_PER_MAD * float(numpy.median(numpy.median(numpy.abs(windows - levels[:, None]), axis=1)))
        low, first = float(levels.min()), seen.curve[0].loss

        def above(level: float, rise: float) -> bool:
            bound = level + max(self.deviations * noise, rise * max(level, 1.0))
            return float((recent > bound).mean()) >= self.share

        if not above(low, self.rise):
            return None
        worse = above(first, self.collapse)
        beside = f", and at {first:.4g} at the first step" if worse else ""
        return WatchFinding(
            watcher=self.id,
            step=seen.step,
            severity="stop" if worse else "warn",
            message=f"the loss is {float(numpy.median(recent)):.4g} over the last {self.window} steps; "
            f"it had been at {low:.4g}{beside}",
        )
