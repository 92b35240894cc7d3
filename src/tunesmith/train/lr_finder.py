"""Learning-rate finder: the range test of L. N. Smith, "Cyclical learning rates for training neural networks" (2017,
arXiv 1506.01186), with rates that grow by a constant factor from step to step.

The test takes the loop's own steps, loss, clipping and optimiser, on copies of the weights that move. It ends when the
smoothed loss passes four times its lowest, or is not a number. Where the loss falls fastest is a good rate to start from.
The steps come at the start of a schedule, so the curve says little about the rate that is best in the end.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import nn

from tunesmith.artifacts import RatePoint, RateSearch
from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.packed.lean_layers import use_lean_layers
from tunesmith.models.tasks import PACKED_BATCHING, Batching, EncodedRow
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.estimate import temporary_training_mode
from tunesmith.train.loop import Diverged
from tunesmith.train.methods import embedding_noise
from tunesmith.train.optimizers import build_optimizer
from tunesmith.train.precision import resolve_precision
from tunesmith.train.setup import TrainInputs, provenance_of, set_up_training

RANGE_TEST_STEPS: Final = 60
LOWEST, HIGHEST = 1e-7, 10.0
LOSS_SMOOTHING: Final = 0.9
"""Weight of the past in the running mean of the loss; the mean is corrected for starting at nothing."""

STOP_LOSS_RATIO: Final = 4.0
SKIPPED_POINTS: Final = 5
"""The first points follow their rows more than their rate: at rates this small nothing moves."""

SAFE_RATE_SHARE: Final = 0.1

StopReason = Literal["end", "rising", "not-finite"]


@dataclass(frozen=True)
class RateCurve:
    """Points in order of the rate, and why there are no more."""

    points: tuple[RatePoint, ...]
    stopped: StopReason


@dataclass(frozen=True)
class RateSuggestion:
    """What a curve says; see RateSearch."""

    steepest: float | None
    diverged: float | None
    largest_safe: float | None
    notes: tuple[str, ...]


def find_learning_rate(inputs: TrainInputs, settings: TrainSettings, context: Context) -> RateSearch:
    """Range test on the rows and the base of a recipe. No weight on disk changes and nothing is kept.

    Raises DataError when a row cannot be trained on, Diverged when the loss is no number before any step.
    """
    settings = resolve_precision(settings)
    ready = set_up_training(inputs, settings, context)
    if ready.rejected:
        first = ready.rejected[0]
        place = f"{first.place.file}:{first.place.line}"
        raise DataError(first.reason, where=place, hint="`tunesmith train RECIPE --dry-run` lists every such row")
    batches = [ready.of_step(step % len(ready.steps)) for step in range(RANGE_TEST_STEPS)]
    curve = range_test(ready.model, batches, settings=settings, share=ready.share, context=context, passes=ready.task)
    reading = suggest_rate(curve)
    few = (
        f"the run has {len(ready.steps)} steps, so rows came more than once"
        if len(ready.steps) < RANGE_TEST_STEPS
        else ""
    )
    return RateSearch(
        provenance=provenance_of("find-rate", inputs, ready.base, settings=settings, context=context),
        base=ready.base,
        method=settings.method,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        points=curve.points,
        stopped=curve.stopped,
        steepest=reading.steepest,
        diverged=reading.diverged,
        largest_safe=reading.largest_safe,
        notes=(*reading.notes, *([few] if few else [])),
    )


def range_test(
    model: Any,
    batches: Sequence[Sequence[EncodedRow]],
    *,
    settings: TrainSettings,
    share: bool,
    context: Context,
    passes: Batching = PACKED_BATCHING,
) -> RateCurve:
    """One step per batch at growing rates, on copies of the tensors that move; the model's own are never written.

    Raises Diverged when the loss is not a number before the first move.
    """
    points: list[RatePoint] = []
    with temporary_training_mode(model), use_lean_layers(model), _copied_weights(model):
        optimizer = build_optimizer(model, settings)
        for step, rows in enumerate(context.progress.track(batches, label="find rate", total=len(batches))):
            optimizer.zero_grad()
            loss = _accumulate_gradients(model, rows, step, _StepOptions(settings, share, context, passes))
            norm = float(torch.nn.utils.clip_grad_norm_(list(trainable_tensors(model).values()), settings.clip))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                return _stop_not_finite(points, loss, norm)
            smoothed = smoothed_loss([*(point.loss for point in points), loss])
            points.append(RatePoint(rate=rate_at(step, len(batches)), loss=loss, smoothed=smoothed))
            if smoothed > STOP_LOSS_RATIO * min(point.smoothed for point in points):
                return RateCurve(tuple(points), "rising")
            optimizer.set_rate(points[-1].rate)
            optimizer.step()
    return RateCurve(tuple(points), "end")


def rate_at(step: int, steps: int) -> float:
    """The rate of a step: from LOWEST to HIGHEST by a constant factor."""
    return LOWEST * math.pow(HIGHEST / LOWEST, step / max(1, steps - 1))


def smoothed_loss(losses: Sequence[float]) -> float:
    """The mean of the losses so far, each weighing SMOOTHING times the one after it."""
    total = weight = 0.0
    for loss in losses:
        total, weight = LOSS_SMOOTHING * total + loss, LOSS_SMOOTHING * weight + 1.0
    return total / weight


def suggest_rate(curve: RateCurve) -> RateSuggestion:
    """Where the smoothed loss falls fastest up to its lowest, and a tenth of the largest rate that was used.

    A point's loss is measured before the move at its rate, so what blew up was moved last at the rate before it.
    """
    points = curve.points
    lowest = min(range(len(points)), key=lambda at: points[at].smoothed)
    inner = range(SKIPPED_POINTS, min(lowest, len(points) - 2) + 1)
    slopes = {at: points[at + 1].smoothed - points[at - 1].smoothed for at in inner}
    steep = min(slopes, key=lambda at: slopes[at], default=0)
    falls = slopes.get(steep, 0.0) < 0.0
    used_last = {"end": None, "rising": -2, "not-finite": -1}[curve.stopped]
    diverged = None if used_last is None else points[used_last].rate
    notes = [] if falls else ["the loss never fell, so no rate is suggested"]
    if diverged is None:
        notes.append(f"the loss never passed {STOP_LOSS_RATIO:g} times its lowest, so no rate is known to be too large")
    return RateSuggestion(
        steepest=points[steep].rate if falls else None,
        diverged=diverged,
        largest_safe=None if diverged is None else SAFE_RATE_SHARE * diverged,
        notes=tuple(notes),
    )


def _stop_not_finite(points: Sequence[RatePoint], loss: float, norm: float) -> RateCurve:
    if points:
        return RateCurve(tuple(points), "not-finite")
    raise Diverged(
        f"loss {loss}, gradient norm {norm} before any step", hint="`tunesmith train RECIPE --dry-run` shows the rows"
    )


@dataclass(frozen=True)
class _StepOptions:
    """How a step's gradients are made, as in the loop."""

    settings: TrainSettings
    share: bool
    context: Context
    passes: Batching


def _accumulate_gradients(model: Any, rows: Sequence[EncodedRow], step: int, how: _StepOptions) -> float:
    """Gradients of the weighted mean loss of a step; the loss itself."""
    settings, passes = how.settings, how.passes
    weight = sum(row.weight for row in rows)
    device = next(model.parameters()).device
    total = 0.0
    for number, group in enumerate(passes.split(rows, settings.tokens_per_pass, share=how.share)):
        if settings.draws_noise:
            torch.manual_seed(how.context.seed_for(f"train/noise/{settings.seed}/{step + 1}/{number}") % 2**63)
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in group]):
            batch = passes.pack(group, device, share=how.share, whole=settings.neftune > 0)
            loss = passes.loss(model, batch, label_smoothing=settings.label_smoothing)
            (loss / weight).backward()
        total += float(loss.detach())
    return total / weight


@contextmanager
def _copied_weights(model: nn.Module) -> Iterator[None]:
    """Put a copy in the place of every tensor that moves, and the tensor itself back at the end: it is never written."""
    own = {name: value.data for name, value in trainable_tensors(model).items()}
    for value in trainable_tensors(model).values():
        value.data = value.data.clone()
    try:
        yield
    finally:
        for name, value in trainable_tensors(model).items():
            value.data = own[name]
