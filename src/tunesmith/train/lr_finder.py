"""Learning-rate finder: the range test of L. N. Smith, "Cyclical learning rates for training neural networks" (2017,
arXiv 1506.01186), with rates that grow by a constant factor from step to step.

The test uses the training loop's batches, loss, clipping and optimizer, on copies of the trainable weights. It ends when the
smoothed loss exceeds four times its minimum, or is not finite. The rate where the loss falls fastest is a good start. The test
covers only the beginning of a run, so it says little about the best rate for a whole schedule.
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
from tunesmith.models.packed import use_lean_layers
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
MIN_RATE, MAX_RATE = 1e-7, 10.0
LOSS_SMOOTHING: Final = 0.9
"""Decay of the exponential moving average of the loss; the average is bias-corrected."""

STOP_LOSS_RATIO: Final = 4.0
SKIPPED_POINTS: Final = 5
"""First points that are ignored: at such small rates the loss depends on the rows, not on the rate."""

SAFE_RATE_SHARE: Final = 0.1

StopReason = Literal["end", "rising", "not-finite"]


@dataclass(frozen=True)
class RateCurve:
    """Points in order of the learning rate, and why the test stopped."""

    points: tuple[RatePoint, ...]
    stopped: StopReason


@dataclass(frozen=True)
class RateSuggestion:
    """The rates read off a curve; see RateSearch for the fields."""

    steepest: float | None
    diverged: float | None
    largest_safe: float | None
    notes: tuple[str, ...]


def find_learning_rate(inputs: TrainInputs, settings: TrainSettings, context: Context) -> RateSearch:
    """Run a range test on the rows and the base of a recipe. Nothing is stored.

    Raises DataError when a row cannot be trained on, and Diverged when the loss is not finite before the first step.
    """
    settings = resolve_precision(settings)
    setup = set_up_training(inputs, settings, context)
    if setup.rejected:
        first = setup.rejected[0]
        place = f"{first.place.file}:{first.place.line}"
        raise DataError(first.reason, where=place, hint="`tunesmith train RECIPE --dry-run` lists all rejected rows")
    batches = [setup.rows_of_step(step % len(setup.steps)) for step in range(RANGE_TEST_STEPS)]
    curve = range_test(setup.model, batches, settings=settings, share=setup.share, context=context, batching=setup.task)
    suggestion = suggest_rate(curve)
    few_steps = (
        f"the run has {len(setup.steps)} steps, so rows came more than once"
        if len(setup.steps) < RANGE_TEST_STEPS
        else ""
    )
    return RateSearch(
        provenance=provenance_of("find-rate", inputs, setup.base, settings=settings, context=context),
        base=setup.base,
        method=settings.method,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        points=curve.points,
        stopped=curve.stopped,
        steepest=suggestion.steepest,
        diverged=suggestion.diverged,
        largest_safe=suggestion.largest_safe,
        notes=(*suggestion.notes, *([few_steps] if few_steps else [])),
    )


def range_test(
    model: Any,
    batches: Sequence[Sequence[EncodedRow]],
    *,
    settings: TrainSettings,
    share: bool,
    context: Context,
    batching: Batching = PACKED_BATCHING,
) -> RateCurve:
    """One step per batch at growing learning rates, on copies of the trainable tensors; the model itself is not changed.

    Raises Diverged when the loss is not finite before the first update.
    """
    points: list[RatePoint] = []
    with temporary_training_mode(model), use_lean_layers(model), _copied_weights(model):
        optimizer = build_optimizer(model, settings)
        for step, rows in enumerate(context.progress.track(batches, label="find rate", total=len(batches))):
            optimizer.zero_grad()
            loss = _accumulate_gradients(model, rows, step, _StepOptions(settings, share, context, batching))
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
    """The learning rate of a step: from MIN_RATE to MAX_RATE by a constant factor."""
    return MIN_RATE * math.pow(MAX_RATE / MIN_RATE, step / max(1, steps - 1))


def smoothed_loss(losses: Sequence[float]) -> float:
    """Bias-corrected exponential moving average of the losses so far, with decay LOSS_SMOOTHING."""
    total = weight = 0.0
    for loss in losses:
        total, weight = LOSS_SMOOTHING * total + loss, LOSS_SMOOTHING * weight + 1.0
    return total / weight


def suggest_rate(curve: RateCurve) -> RateSuggestion:
    """The rate where the smoothed loss falls fastest before its minimum, and a tenth of the rate at which it diverged.

    The loss of a point is measured before the update at its rate, so a loss that explodes was caused by the rate before it.
    """
    points = curve.points
    lowest = min(range(len(points)), key=lambda at: points[at].smoothed)
    inner = range(SKIPPED_POINTS, min(lowest, len(points) - 2) + 1)
    slopes = {at: points[at + 1].smoothed - points[at - 1].smoothed for at in inner}
    steepest = min(slopes, key=lambda at: slopes[at], default=0)
    falls = slopes.get(steepest, 0.0) < 0.0
    # The index of the point whose rate caused the divergence.
    cause = {"end": None, "rising": -2, "not-finite": -1}[curve.stopped]
    diverged = None if cause is None else points[cause].rate
    notes = [] if falls else ["the loss never fell, so no rate is suggested"]
    if diverged is None:
        notes.append(f"the loss never passed {STOP_LOSS_RATIO:g} times its lowest, so no rate is known to be too large")
    return RateSuggestion(
        steepest=points[steepest].rate if falls else None,
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
    """How the gradients of a step are computed, as in the training loop."""

    settings: TrainSettings
    share: bool
    context: Context
    batching: Batching


def _accumulate_gradients(model: Any, rows: Sequence[EncodedRow], step: int, options: _StepOptions) -> float:
    """Compute the gradients of the weighted mean loss of a step. Returns that loss in nats."""
    settings, batching = options.settings, options.batching
    weight = sum(row.weight for row in rows)
    device = next(model.parameters()).device
    total = 0.0
    for number, group in enumerate(batching.split(rows, settings.tokens_per_pass, share=options.share)):
        if settings.draws_noise:
            torch.manual_seed(options.context.seed_for(f"train/noise/{settings.seed}/{step + 1}/{number}") % 2**63)
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in group]):
            batch = batching.pack(group, device, share=options.share, whole=settings.neftune > 0)
            loss = batching.loss(model, batch, label_smoothing=settings.label_smoothing)
            (loss / weight).backward()
        total += float(loss.detach())
    return total / weight


@contextmanager
def _copied_weights(model: nn.Module) -> Iterator[None]:
    """Replace the data of every trainable tensor by a copy while the block runs, so that the original is never written."""
    originals = {name: value.data for name, value in trainable_tensors(model).items()}
    for value in trainable_tensors(model).values():
        value.data = value.data.clone()
    try:
        yield
    finally:
        for name, value in trainable_tensors(model).items():
            value.data = originals[name]
