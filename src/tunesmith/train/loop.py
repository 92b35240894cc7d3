"""The loop. One optimiser step: every row of the step forward and backward in passes, mean over its tokens, clip, move."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tunesmith.artifacts import CurvePoint
from tunesmith.context import Context
from tunesmith.errors import TunesmithError
from tunesmith.models.packed.lean_layers import use_lean_layers
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


class Diverged(TunesmithError):
    """The loss or the gradient is not a number; the message names the step and the rows of the pass where it began."""


@dataclass(frozen=True)
class TrainingPlan:
    """Everything the loop reads: encoded rows, the steps over them, rows held back for validation, the run's key.

    `passes` is the task's way to make passes of rows and to give a pass its loss.
    `share`: tokens that rows of a pass share are computed once. It changes neither which rows form a step nor, but for the
    rounding of sums, any number. `ranks` are the processes that divide the rows of each step; the model is placed already.
    """

    rows: Sequence[EncodedRow]
    steps: Sequence[Sequence[int]]
    validation: Sequence[EncodedRow]
    key: str
    folder: Path
    share: bool = True
    ranks: Ranks = SINGLE_RANK
    passes: Batching = PACKED_BATCHING


def run_loop(
    model: Any,
    plan: TrainingPlan,
    *,
    settings: TrainSettings,
    context: Context,
    measured: dict[str, float] | None = None,
) -> TrainState:
    """Train in place from the last checkpoint of this plan, or from step 0; returns the final state."""
    optimizer = build_optimizer(model, settings)
    watch = start_monitor(
        trainable_tensors(model), optimizer, steps=len(plan.steps), gather=partial(all_gather, plan.ranks)
    )
    state = broadcast(
        plan.ranks, lambda: load_state(plan.folder, plan.key) or _new_state(plan, settings, context, measured)
    )
    torch.set_num_threads(state.threads)
    if told := describe_optimizer(model, settings):
        context.progress.say(told)
    if state.step:
        load_tensors(plan.folder, model, optimizer, step=state.step, ranks=plan.ranks)
        context.progress.say(f"resumed at step {state.step} of {len(plan.steps)}{_rank_change_note(plan, state)}")
    model.train()
    remaining = range(state.step, len(plan.steps))
    with _lean(model, plan), _logs(plan, settings, context, state) as trackers:
        for step in context.progress.track(remaining, label="train", total=len(remaining)):
            if should_stop_early(state, settings):
                context.progress.say(
                    f"stopped after step {step}: {settings.patience} losses in a row without a new lowest"
                )
                break
            started, before = context.clock.seconds(), state
            state = _step(model, watch, plan, settings=settings, context=context, state=state)
            pace = _step_timing(plan, before, state, seconds=context.clock.seconds() - started)
            state = _validate(model, plan, settings, state)
            state = _run_watchers(watch, state, pace, context)
            standing = step_metrics(state.curve, state.held_out, watch.speeds.recent)
            context.progress.note(standing.shown())
            trackers.log(standing)
            if (step + 1) % settings.checkpoint_every == 0 and step + 1 < len(plan.steps):
                save_checkpoint(plan.folder, model, optimizer, state=state, ranks=plan.ranks)
    if measured is not None:
        measured.update(watch.speeds.measured())
    if settings.keep == "best" and state.best_step is not None:
        load_best(plan.folder, model, plan.ranks)
    return state


def _new_state(
    plan: TrainingPlan, settings: TrainSettings, context: Context, measured: dict[str, float] | None
) -> TrainState:
    threads = measure_threads(settings.threads, context.clock)
    context.progress.say(threads.told())
    if measured is not None:
        measured.update(threads.measured())
    return TrainState(key=plan.key, step=0, threads=threads.count)


def _lean(model: Any, plan: TrainingPlan) -> AbstractContextManager[object]:
    """Layers that keep less; not where weights are slices, which a layer must gather by its own code."""
    return nullcontext() if plan.ranks.sharded else use_lean_layers(model)


def _logs(
    plan: TrainingPlan, settings: TrainSettings, context: Context, state: TrainState
) -> AbstractContextManager[Trackers]:
    """Logs of rank 0; the other ranks have none."""
    if not plan.ranks.leads:
        return nullcontext(Trackers())
    return open_trackers(settings, context, key=plan.key, curve=state.curve, held_out=state.held_out)


def _step_timing(plan: TrainingPlan, before: TrainState, after: TrainState, *, seconds: float) -> StepTiming:
    tokens = sum(len(plan.rows[index].ids) for index in plan.steps[before.step])
    return StepTiming(after.step, tokens, after.distinct_tokens - before.distinct_tokens, seconds)


def _run_watchers(watch: TrainingMonitor, state: TrainState, pace: StepTiming, context: Context) -> TrainState:
    """What the watchers found is told and kept; a finding that stops the run raises Diverged."""
    slow = len(watch.timed)
    found = watch.after_step(state.curve, pace, held_out=state.held_out, told=state.watch)
    for finding in (*found, *watch.timed[slow:]):
        context.progress.say(f"{finding.watcher}: {finding.message}")
    stop = next((finding for finding in found if finding.severity == "stop"), None)
    if stop is not None:
        raise Diverged(
            f"step {stop.step}: {stop.message}", hint="lower train.learning_rate; the last checkpoint is kept"
        )
    return state.model_copy(update={"watch": (*state.watch, *found)})


def _rank_change_note(plan: TrainingPlan, state: TrainState) -> str:
    """A warning when another number of ranks made the checkpoint: sums are then rounded in another order from here on."""
    before = saved_rank_count(plan.folder / f"step-{state.step}")
    if before == plan.ranks.size:
        return ""
    return f"; from {before} ranks to {plan.ranks.size}, so equal within rounding from here, not to the bit"


def should_stop_early(state: TrainState, settings: TrainSettings) -> bool:
    """Whether the last `patience` losses on the rows held back brought no new lowest."""
    losses = [point.loss for point in state.held_out]
    if settings.patience is None or len(losses) <= settings.patience:
        return False
    return min(losses[-settings.patience :]) >= min(losses[: -settings.patience])


def _step(
    model: Any,
    watch: TrainingMonitor,
    plan: TrainingPlan,
    *,
    settings: TrainSettings,
    context: Context,
    state: TrainState,
) -> TrainState:
    """The next optimiser step; its loss is the weighted mean over all supervised tokens of the step."""
    step, optimizer = state.step + 1, watch.optimizer
    rows = [plan.rows[index] for index in plan.steps[state.step]]
    optimizer.set_rate(learning_rate(settings, state.step, len(plan.steps)))
    optimizer.zero_grad()
    weight = sum(row.weight for row in rows)
    summed, distinct = 0.0, 0.0
    broken: list[EncodedRow] = []
    device = next(model.parameters()).device
    ranks, passes = plan.ranks, plan.passes
    groups = rank_micro_batches(rows, settings.tokens_per_pass, share=plan.share, ranks=ranks, passes=passes)
    for number, group in enumerate(groups):
        if settings.draws_noise:
            torch.manual_seed(context.seed_for(f"train/noise/{settings.seed}/{step}/{number}{ranks.mark}") % 2**63)
        batch = passes.pack(group, device, share=plan.share, whole=settings.neftune > 0)
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in group]):
            loss = micro_batch_loss(model, batch, ranks=ranks, passes=passes, label_smoothing=settings.label_smoothing)
        (loss / weight).backward()
        summed, distinct = summed + float(loss.detach()), distinct + batch.tokens
        if not math.isfinite(float(loss.detach())):
            broken.extend(group)
    summed, distinct = all_reduce_sum(ranks, [summed, distinct])
    all_reduce_gradients(list(trainable_tensors(model).values()), ranks)
    norm = clip_gradients(list(trainable_tensors(model).values()), settings.clip)
    finite = math.isfinite(summed) and math.isfinite(norm)
    named = rows if finite else [row for some in all_gather(ranks, broken) for row in some] or rows
    found = watch.before_move(StepReading(step, summed / weight, norm, tuple(row.row_id for row in named)))
    if found is not None:
        hint = "lower train.learning_rate, or look at these rows"
        raise Diverged(f"step {step}: {found.message}", where=_list_rows(found.names), hint=hint)
    optimizer.step()
    point = CurvePoint(
        step=step,
        loss=summed / weight,
        learning_rate=optimizer.rate,
        gradient_norm=norm,
        supervised_tokens=sum(row.supervised for row in rows),
    )
    return state.model_copy(
        update={
            "step": step,
            "curve": (*state.curve, point),
            "distinct_tokens": state.distinct_tokens + int(distinct),
        }
    )


def _list_rows(rows: Sequence[str]) -> str:
    names = ", ".join(rows[:3])
    return f"rows {names}" if len(rows) <= 3 else f"rows {names} and {len(rows) - 3} more"


def _validate(model: Any, plan: TrainingPlan, settings: TrainSettings, state: TrainState) -> TrainState:
    """Loss on the rows held back, every so many steps and after the last; keeps the best weights when asked to."""
    due = state.step % settings.validate_every == 0 or state.step == len(plan.steps)
    if not plan.validation or not due:
        return state
    loss = validation_loss(model, plan.validation, settings, share=plan.share, ranks=plan.ranks, passes=plan.passes)
    point = state.curve[-1].model_copy(update={"loss": loss})
    best = min((old.loss for old in state.held_out), default=math.inf)
    state = state.model_copy(update={"held_out": (*state.held_out, point)})
    if settings.keep == "best" and point.loss < best:
        save_best(plan.folder, model, plan.ranks)
        state = state.model_copy(update={"best_step": state.step})
    return state


def validation_loss(
    model: Any,
    rows: Sequence[EncodedRow],
    settings: TrainSettings,
    *,
    share: bool = True,
    ranks: Ranks = SINGLE_RANK,
    passes: Batching = PACKED_BATCHING,
) -> float:
    """Weighted mean loss on the rows held back; no randomness is drawn and no weight moves."""
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        mine = sum(
            float(micro_batch_loss(model, passes.pack(group, device, share=share), ranks=ranks, passes=passes))
            for group in rank_micro_batches(rows, settings.tokens_per_pass, share=share, ranks=ranks, passes=passes)
        )
    reshard(ranks)
    model.train()
    return all_reduce_sum(ranks, [mine])[0] / sum(row.weight for row in rows)
