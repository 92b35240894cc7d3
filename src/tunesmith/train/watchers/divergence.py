"""Divergence: the loss has risen far above its lowest level and stays there.

What it finds: at least `share` of the last `window` losses are above the running low by more than `deviations` standard
deviations of the noise, and by more than `rise` times the low (or `rise` nats where the low is under one nat). The low is the
smallest window median up to `reach` steps back. The noise is 1.4826 times the median absolute deviation within a window,
taken as the median over all windows, so that neither a spike nor a falling loss inflates it. It is a warning, and stops the
run when the losses are also that far above the very first loss, with `collapse` in place of `rise`: the model has then
become worse than its base.
Why it matters: further steps are wasted, and the weights are worse than those of the last checkpoint.
Limits: needs three windows, so a run of under 60 steps is never judged. A spike of less than 16 of 20 steps is not reported.
A drifting loss, e.g. of rows that are not shuffled, has more noise than its windows show and may cause a false warning.
Reference: Hampel 1974, The influence curve and its role in robust estimation, JASA 69, for the deviation; the rule is our
own. A test simulates 300 curves of 1,000 steps of pure noise (normal, skewed, heavy-tailed) without a false alarm.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy

from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment

STD_PER_MAD = 1.4826
"""Standard deviations per median absolute deviation, for a normal distribution."""


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

    def look(self, observation: Observation) -> WatchFinding | None:
        if observation.step % self.window or len(observation.curve) < 3 * self.window:
            return None
        losses = numpy.array([point.loss for point in observation.curve[-self.reach :]])
        recent, earlier = losses[-self.window :], losses[: -self.window]
        windows = earlier[len(earlier) % self.window :].reshape(-1, self.window)
        levels = numpy.median(windows, axis=1)
        noise = STD_PER_MAD * float(numpy.median(numpy.median(numpy.abs(windows - levels[:, None]), axis=1)))
        low, first = float(levels.min()), observation.curve[0].loss

        def above(level: float, rise: float) -> bool:
            bound = level + max(self.deviations * noise, rise * max(level, 1.0))
            return float((recent > bound).mean()) >= self.share

        if not above(low, self.rise):
            return None
        worse = above(first, self.collapse)
        first_step = f", and at {first:.4g} at the first step" if worse else ""
        return WatchFinding(
            watcher=self.id,
            step=observation.step,
            severity="stop" if worse else "warn",
            message=f"the loss is {float(numpy.median(recent)):.4g} over the last {self.window} steps; "
            f"it had been at {low:.4g}{first_step}",
        )
