"""The training loop. `_train_step` is one optimizer step from top to bottom; `run_loop` resumes, repeats it and ends.

A step has a fixed set of rows. They are packed into micro-batches ("passes"), whose gradients add up to the gradient of the
weighted mean loss over all supervised tokens of the step. How the rows are packed changes numbers by rounding only.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.artifacts import CurvePoint
from tunesmith.context import Context
from tunesmith.errors import TunesmithError
from tunesmith.models.packed import use_lean_layers
from tunesmith.models.tasks import PACKED_BATCHING, Batching, EncodedRow
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import (
    load_best,
    load_state,
    load_tensors,
    save_best,
    save_checkpoint,
    trainable_tensors,
)
from tunesmith.train.distributed.gradients import all_reduce_gradients, clip_gradients
from tunesmith.train.distributed.partition import rank_micro_batches
from tunesmith.train.distributed.ranks import SINGLE_RANK, Ranks, all_gather, all_reduce_sum, broadcast
from tunesmith.train.distributed.sharded_checkpoint import saved_rank_count
from tunesmith.train.distributed.wrap import micro_batch_loss, reshard
from tunesmith.train.methods.neftune import embedding_noise
from tunesmith.train.optimizers import build_optimizer, describe_optimizer
from tunesmith.train.schedule import learning_rate
from tunesmith.train.state import TrainState
from tunesmith.train.threads import measure_threads
from tunesmith.train.trackers import Trackers, open_trackers, step_metrics
from tunesmith.train.watchers.observations import StepReading, StepTiming
from tunesmith.train.watchers.runner import TrainingMonitor, start_monitor

MAX_NAMED_ROWS: Final = 3
"""Rows that an error names; the finding holds all."""


class Diverged(TunesmithError):
    """Loss or gradient is not finite, or the loss has diverged. The message names the step, and the rows where they are known."""


@dataclass(frozen=True)
class TrainingPlan:
    """What the loop trains on: encoded rows, the row indices of every step, validation rows, and the content key of the run.

    `folder` holds the checkpoints. `share`: prefixes that rows of a micro-batch have in common are computed once; this changes
    numbers by rounding only. `ranks` are the processes that divide the rows of each step; the model is on its device already.
    `batching` belongs to the task: it makes micro-batches and gives their loss.
    """

    rows: Sequence[EncodedRow]
    steps: Sequence[Sequence[int]]
    validation: Sequence[EncodedRow]
    key: str
    folder: Path
    share: bool = True
    ranks: Ranks = SINGLE_RANK
    batching: Batching = PACKED_BATCHING


@dataclass(frozen=True)
class _Run:
    """What every step of a run reads; none of it is replaced between steps."""

    model: Any
    plan: TrainingPlan
    settings: TrainSettings
    context: Context
    monitor: TrainingMonitor
    trackers: Trackers


def run_loop(
    model: Any,
    plan: TrainingPlan,
    *,
    settings: TrainSettings,
    context: Context,
    measured: dict[str, float] | None = None,
) -> TrainState:
    """Train in place, from the last checkpoint of this plan or from step 0. Returns the final state.

    Figures that depend on the machine (threads, speed) are added to `measured`. Raises Diverged when the run must stop, and
    IntegrityBroken when the checkpoint belongs to another run.
    """
    ranks, progress = plan.ranks, context.progress
    optimizer = build_optimizer(model, settings)
    # The monitor takes fingerprints of the initial weights, so it starts before a checkpoint is loaded.
    gather = partial(all_gather, ranks)
    monitor = start_monitor(trainable_tensors(model), optimizer, steps=len(plan.steps), gather=gather)

    # Resume from the last checkpoint, or start at step 0.
    state = broadcast(ranks, lambda: load_state(plan.folder, plan.key) or _new_state(plan, settings, context, measured))
    torch.set_num_threads(state.threads)
    if line := describe_optimizer(model, settings):
        progress.say(line)
    if state.step:
        load_tensors(plan.folder, model, optimizer, step=state.step, ranks=ranks)
        progress.say(f"resumed at step {state.step} of {len(plan.steps)}{_rank_change_note(plan, state)}")

    # Under FSDP2 a layer's own forward must gather its weights, so lean layers are for unsharded models only.
    layers: AbstractContextManager[object] = nullcontext() if ranks.sharded else use_lean_layers(model)
    logs: AbstractContextManager[Trackers] = nullcontext(Trackers())
    if ranks.is_main:
        logs = open_trackers(settings, context, key=plan.key, curve=state.curve, held_out=state.held_out)
    model.train()
    remaining = range(state.step, len(plan.steps))
    with layers, logs as trackers:
        run = _Run(model, plan, settings, context, monitor, trackers)
        for step in progress.track(remaining, label="train", total=len(remaining)):
            if should_stop_early(state, settings):
                progress.say(
                    f"stopped early after step {step}: no lower validation loss in {settings.patience} validations"
                )
                break
            state = _train_step(run, state)

    # Keep the machine's figures, and return to the best weights where the recipe asks for them.
    if measured is not None:
        measured.update(monitor.speeds.measured())
    if settings.keep == "best" and state.best_step is not None:
        load_best(plan.folder, model, ranks)
    return state


def _train_step(run: _Run, state: TrainState) -> TrainState:
    """One optimizer step and what follows it, in order. Returns the state after it."""
    model, plan, settings, context = run.model, run.plan, run.settings, run.context
    optimizer, ranks, batching = run.monitor.optimizer, plan.ranks, plan.batching
    step, device, started = state.step + 1, next(model.parameters()).device, context.clock.seconds()

    # Schedule: the learning rate of this step.
    optimizer.set_rate(learning_rate(settings, state.step, len(plan.steps)))
    optimizer.zero_grad()

    # Pack: divide the rows of the step among the ranks, and this rank's rows among micro-batches of `tokens_per_pass` tokens.
    rows = [plan.rows[index] for index in plan.steps[state.step]]
    weight = sum(row.weight for row in rows)
    groups = rank_micro_batches(rows, settings.tokens_per_pass, share=plan.share, ranks=ranks, batching=batching)

    # Forward and backward per micro-batch. Losses are sums over tokens (nats), divided by the weight of the whole step.
    loss_sum, computed_tokens, not_finite = 0.0, 0.0, list[EncodedRow]()
    for number, group in enumerate(groups):
        if settings.draws_noise:  # its own seed for every micro-batch, so that a resumed run draws the same noise
            torch.manual_seed(context.seed_for(f"train/noise/{settings.seed}/{step}/{number}{ranks.noise_id}") % 2**63)
        batch = batching.pack(group, device, share=plan.share, whole=settings.neftune > 0)
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in group]):
            loss = micro_batch_loss(model, batch, batching, ranks=ranks, label_smoothing=settings.label_smoothing)
        (loss / weight).backward()
        loss_sum, computed_tokens = loss_sum + float(loss.detach()), computed_tokens + batch.tokens
        if not math.isfinite(float(loss.detach())):
            not_finite.extend(group)

    # All-reduce losses and gradients over the ranks, then clip by the norm of all gradients together.
    loss_sum, computed_tokens = all_reduce_sum(ranks, [loss_sum, computed_tokens])
    parameters = list(trainable_tensors(model).values())
    all_reduce_gradients(parameters, ranks)
    norm = clip_gradients(parameters, settings.clip)

    # Optimizer: update the weights, unless a watcher stops the run because loss or gradient is not finite.
    finite = math.isfinite(loss_sum) and math.isfinite(norm)
    suspects = rows if finite else [row for part in all_gather(ranks, not_finite) for row in part] or rows
    _check_before_update(run.monitor, StepReading(step, loss_sum / weight, norm, tuple(row.row_id for row in suspects)))
    optimizer.step()

    # Record: one point on the curve, and how fast the step was (without validation and checkpoint).
    point = CurvePoint(
        step=step,
        loss=loss_sum / weight,
        learning_rate=optimizer.rate,
        gradient_norm=norm,
        supervised_tokens=sum(row.supervised for row in rows),
    )
    distinct = state.distinct_tokens + int(computed_tokens)
    state = state.model_copy(update={"step": step, "curve": (*state.curve, point), "distinct_tokens": distinct})
    tokens, seconds = sum(len(row.ids) for row in rows), context.clock.seconds() - started

    # Validate when due; watch, and log to the live view and the trackers.
    state = _validate(model, plan, settings, state)
    state = _watch_and_log(run, state, StepTiming(step, tokens, int(computed_tokens), seconds))

    # Checkpoint when due; after the last step the model itself is stored.
    if step % settings.checkpoint_every == 0 and step < len(plan.steps):
        save_checkpoint(plan.folder, model, optimizer, state=state, ranks=ranks)
    return state


def should_stop_early(state: TrainState, settings: TrainSettings) -> bool:
    """Whether none of the last `patience` validation losses is lower than the lowest before them."""
    losses = [point.loss for point in state.held_out]
    if settings.patience is None or len(losses) <= settings.patience:
        return False
    return min(losses[-settings.patience :]) >= min(losses[: -settings.patience])


def validation_loss(
    model: Any,
    rows: Sequence[EncodedRow],
    settings: TrainSettings,
    *,
    share: bool = True,
    ranks: Ranks = SINGLE_RANK,
    batching: Batching = PACKED_BATCHING,
) -> float:
    """Weighted mean loss (nats) over the supervised tokens of the validation rows. Draws no random numbers, changes no weight."""
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        loss_sum = sum(
            float(micro_batch_loss(model, batching.pack(group, device, share=share), batching, ranks=ranks))
            for group in rank_micro_batches(rows, settings.tokens_per_pass, share=share, ranks=ranks, batching=batching)
        )
    reshard(ranks)
    model.train()
    return all_reduce_sum(ranks, [loss_sum])[0] / sum(row.weight for row in rows)


def _new_state(
    plan: TrainingPlan, settings: TrainSettings, context: Context, measured: dict[str, float] | None
) -> TrainState:
    """The state at step 0, with the number of threads that the run keeps to its end."""
    threads = measure_threads(settings.threads, context.clock)
    context.progress.say(threads.summary())
    if measured is not None:
        measured.update(threads.measured())
    return TrainState(key=plan.key, step=0, threads=threads.count)


def _rank_change_note(plan: TrainingPlan, state: TrainState) -> str:
    """A warning when another number of ranks wrote the checkpoint: from here on, sums are rounded in another order."""
    saved = saved_rank_count(plan.folder / f"step-{state.step}")
    if saved == plan.ranks.size:
        return ""
    return f"; ranks changed from {saved} to {plan.ranks.size}, so results match within rounding, not bit for bit"


def _check_before_update(monitor: TrainingMonitor, reading: StepReading) -> None:
    """Raises Diverged when a watcher says that this update must not reach the weights."""
    finding = monitor.before_update(reading)
    if finding is None:
        return
    names, more = ", ".join(finding.names[:MAX_NAMED_ROWS]), len(finding.names) - MAX_NAMED_ROWS
    raise Diverged(
        f"step {reading.step}: {finding.message}",
        where=f"rows {names} and {more} more" if more > 0 else f"rows {names}",
        hint="lower train.learning_rate, or look at these rows",
    )


def _validate(model: Any, plan: TrainingPlan, settings: TrainSettings, state: TrainState) -> TrainState:
    """Validation loss every `validate_every` steps and after the last; under `keep: best` saves the weights when it is lowest."""
    due = state.step % settings.validate_every == 0 or state.step == len(plan.steps)
    if not plan.validation or not due:
        return state
    loss = validation_loss(model, plan.validation, settings, share=plan.share, ranks=plan.ranks, batching=plan.batching)
    point = state.curve[-1].model_copy(update={"loss": loss})
    best = min((earlier.loss for earlier in state.held_out), default=math.inf)
    state = state.model_copy(update={"held_out": (*state.held_out, point)})
    if settings.keep == "best" and point.loss < best:
        save_best(plan.folder, model, plan.ranks)
        state = state.model_copy(update={"best_step": state.step})
    return state


def _watch_and_log(run: _Run, state: TrainState, timing: StepTiming) -> TrainState:
    """Run the watchers, print new findings and log the step. Returns the state with the findings.

    Raises Diverged on a finding that stops the run.
    """
    monitor, progress = run.monitor, run.context.progress
    timed_before = len(monitor.timed)
    findings = monitor.after_step(state.curve, timing, held_out=state.held_out, reported=state.watch)
    for finding in (*findings, *monitor.timed[timed_before:]):
        progress.say(f"{finding.watcher}: {finding.message}")
    stop = next((finding for finding in findings if finding.severity == "stop"), None)
    if stop is not None:
        hint = "lower train.learning_rate; the last checkpoint is kept"
        raise Diverged(f"step {stop.step}: {stop.message}", hint=hint)
    metrics = step_metrics(state.curve, state.held_out, monitor.speeds.recent)
    progress.note(metrics.live_view())
    run.trackers.log(metrics)
    return state.model_copy(update={"watch": (*state.watch, *findings)})
