"""Overfitting: the validation loss rises while the training loss still falls.

What it finds: the last `patience` validation losses are all above the best one before them by more than the fraction `rise`,
and the mean training loss since that best one is lower than over as many steps up to it.
Why it matters: from the best point on, the model memorizes its training rows and gets worse on others. The recipe's
`keep: best` and `patience` act on this.
Limits: needs validation rows (`train.validation`). With few validation rows the loss is noisy and a rise says little. The
loss can rise while answers still improve: probabilities become extreme before the chosen answers become worse.
Reference: Prechelt 1998, Early stopping - but when?, LNCS 1524: the criteria that count successive rises.
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
    """Looks after every validation."""

    id: ClassVar[str] = "overfitting"
    version: ClassVar[str] = "1"
    moment: ClassVar[LookMoment] = "after"
    timed: ClassVar[bool] = False

    patience: int = 3
    rise: float = 0.02

    def look(self, observation: Observation) -> WatchFinding | None:
        validations = observation.held_out
        if len(validations) <= self.patience or validations[-1].step != observation.step:
            return None
        best = min(validations[: -self.patience], key=lambda point: point.loss)
        if min(point.loss for point in validations[-self.patience :]) <= best.loss * (1.0 + self.rise):
            return None
        size = min(best.step, observation.step - best.step)
        up_to_best, since = observation.curve[best.step - size : best.step], observation.curve[-size:]
        before, after = _mean_loss(up_to_best), _mean_loss(since)
        if after >= before:
            return None
        return WatchFinding(
            watcher=self.id,
            step=observation.step,
            severity="warn",
            message=f"the loss on rows held back is {validations[-1].loss:.4g}, above its best of {best.loss:.4g} at step "
            f"{best.step} for {self.patience} times in a row, while the training loss fell from {before:.4g} to {after:.4g}",
        )


def _mean_loss(points: Sequence[CurvePoint]) -> float:
    return sum(point.loss for point in points) / len(points)
