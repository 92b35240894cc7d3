"""Overfitting: the loss on rows held back rises while the training loss still falls.

What it finds: the last `patience` losses on the rows held back all lie more than `rise` above the best one before them, and
the training loss since that best one is lower, in the mean, than over as many steps up to it.
Why it matters: from the best point on the model learns its rows by heart and loses what it knew of others. `keep: best` and
`patience` in the recipe act on it.
Limits: needs rows held back (`train.validation`). A few held-out rows make a rough loss; the share held back sets how much a
rise says. A loss can rise while answers improve: probabilities grow extreme before the choices turn worse.
Reference: Prechelt 1998, Early stopping - but when?, LNCS 1524, the class of criteria that count rises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import CurvePoint
from tunesmith.artifacts.report import WatchFinding
from tunesmith.train.watchers.observations import Observation
from tunesmith.train.watchers.watcher import WATCHERS, LookMoment


@WATCHERS.register
@dataclass(frozen=True)
class Overfitting:
    """Looks after every loss on the rows held back."""

    id: ClassVar[str] = "overfitting"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    patience: int = 3
    rise: float = 0.02

    def look(self, seen: Observation) -> WatchFinding | None:
        held = seen.held_out
        if len(held) <= self.patience or held[-1].step != seen.step:
            return None
        best = min(held[: -self.patience], key=lambda point: point.loss)
        if min(point.loss for point in held[-self.patience :]) <= best.loss * (1.0 + self.rise):
            return None
        size = min(best.step, seen.step - best.step)
        at_best, since = seen.curve[best.step - size : best.step], seen.curve[-size:]
        before, after = _mean_loss(at_best), _mean_loss(since)
        if after >= before:
            return None
        return WatchFinding(
            watcher=self.id,
            step=seen.step,
            severity="warn",
            message=f"the loss on rows held back is {held[-1].loss:.4g}, above its best of {best.loss:.4g} at step "
            f"{best.step} for {self.patience} times in a row, while the training loss fell from {before:.4g} to {after:.4g}",
        )


def _mean_loss(points: Sequence[CurvePoint]) -> float:
    return sum(point.loss for point in points) / len(points)
