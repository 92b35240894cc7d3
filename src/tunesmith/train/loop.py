"""The loop. One optimiser step: every row of the step forward and backward in passes, mean over its tokens, clip, move."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tunesmith import process
from tunesmith.artifacts import CurvePoint
from tunesmith.context import Context
from tunesmith.errors import TunesmithError
from tunesmith.models.packed.lean import lean
from tunesmith.models.tasks import PACKED, EncodedRow, Passes
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import load_best, load_state, load_tensors, save_best, save_checkpoint, trainable
from tunesmith.train.distributed.deal import passes_of
from tunesmith.train.distributed.gradients import clip, sum_gradients
from tunesmith.train.distributed.ranks import ALONE, Ranks, gather, tell, total
from tunesmith.train.distributed.shard import let_go, summed_loss
from tunesmith.train.distributed.shards import ranks_of
from tunesmith.train.methods.noise import embedding_noise
from tunesmith.train.optimizers import build_optimizer, told_parts
from tunesmith.train.schedule import learning_rate
from tunesmith.train.state import TrainState
from tunesmith.train.threads import find_threads
from tunesmith.train.track import Trackers, standing_of, tracked
from tunesmith.train.watchers.seen import Pace, Reading
from tunesmith.train.watchers.watch import Watch, begin

process.prepare()

import torch  # noqa: E402


class Diverged(TunesmithError):
    """The loss or the gradient is not a number; the message names the step and the rows of the pass where it began."""


@dataclass(frozen=True)
class Plan:
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
    ranks: Ranks = ALONE
    passes: Passes = PACKED


def run_loop(
    model: Any, plan: Plan, *, settings: TrainSettings, context: Context, measured: dict[str, float] | None = None
) -> TrainState:
    """Train in place from the last checkpoint of this plan, or from step 0; returns the final state."""
    optimizer = build_optimizer(model, settings)
    watch = begin(trainable(model), optimizer, steps=len(plan.steps), gather=partial(gather, plan.ranks))
    state = tell(plan.ranks, lambda: load_state(plan.folder, plan.key) or _fresh(plan, settings, context, measured))
    torch.set_num_threads(state.threads)
    if told := told_parts(model, settings):
        context.progress.say(told)
    if state.step:
        load_tensors(plan.folder, model, optimizer, step=state.step, ranks=plan.ranks)
        context.progress.say(f"resumed at step {state.step} of {len(plan.steps)}{_other_ranks(plan, state)}")
    model.train()
    remaining = range(state.step, len(plan.steps))
    with _lean(model, plan), _logs(plan, settings, context, state) as trackers:
        for step in context.progress.track(remaining, label="train", total=len(remaining)):
            if worn_out(state, settings):
                context.progress.say(
                    f"stopped after step {step}: {settings.patience} losses in a row without a new lowest"
                )
                break
            started, before = context.clock.seconds(), state
            state = _step(model, watch, plan, settings=settings, context=context, state=state)
            pace = _pace(plan, before, state, seconds=context.clock.seconds() - started)
            state = _watch(model, plan, settings, state)
            state = _look(watch, state, pace, context)
            standing = standing_of(state.curve, state.held_out, watch.speeds.recent)
            context.progress.note(standing.shown())
            trackers.log(standing)
            if (step + 1) % settings.checkpoint_every == 0 and step + 1 < len(plan.steps):
                save_checkpoint(plan.folder, model, optimizer, state=state, ranks=plan.ranks)
    if measured is not None:
        measured.update(watch.speeds.measured())
    if settings.keep == "best" and state.best_step is not None:
        load_best(plan.folder, model, plan.ranks)
    return state


def _fresh(plan: Plan, settings: TrainSettings, context: Context, measured: dict[str, float] | None) -> TrainState:
    threads = find_threads(settings.threads, context.clock)
    context.progress.say(threads.told())
    if measured is not None:
        measured.update(threads.measured())
    return TrainState(key=plan.key, step=0, threads=threads.count)


def _lean(model: Any, plan: Plan) -> AbstractContextManager[object]:
    """Layers that keep less; not where weights are slices, which a layer must gather by its own code."""
    return nullcontext() if plan.ranks.sharded else lean(model)


def _logs(plan: Plan, settings: TrainSettings, context: Context, state: TrainState) -> AbstractContextManager[Trackers]:
    """Logs of rank 0; the other ranks have none."""
    if not plan.ranks.leads:
        return nullcontext(Trackers())
    return tracked(settings, context, key=plan.key, curve=state.curve, held_out=state.held_out)


def _pace(plan: Plan, before: TrainState, after: TrainState, *, seconds: float) -> Pace:
    tokens = sum(len(plan.rows[index].ids) for index in plan.steps[before.step])
    return Pace(after.step, tokens, after.distinct_tokens - before.distinct_tokens, seconds)


def _look(watch: Watch, state: TrainState, pace: Pace, context: Context) -> TrainState:
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


def _other_ranks(plan: Plan, state: TrainState) -> str:
    """A warning when another number of ranks made the checkpoint: sums are then rounded in another order from here on."""
    before = ranks_of(plan.folder / f"step-{state.step}")
    if before == plan.ranks.size:
        return ""
    return f"; from {before} ranks to {plan.ranks.size}, so equal within rounding from here, not to the bit"


def worn_out(state: TrainState, settings: TrainSettings) -> bool:
    """Whether the last `patience` losses on the rows held back brought no new lowest."""
    losses = [point.loss for point in state.held_out]
    if settings.patience is None or len(losses) <= settings.patience:
        return False
    return min(losses[-settings.patience :]) >= min(losses[: -settings.patience])


def _step(
    model: Any, watch: Watch, plan: Plan, *, settings: TrainSettings, context: Context, state: TrainState
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
    groups = passes_of(rows, settings.tokens_per_pass, share=plan.share, ranks=ranks, passes=passes)
    for number, group in enumerate(groups):
        if settings.draws_noise:
            torch.manual_seed(context.seed_for(f"train/noise/{settings.seed}/{step}/{number}{ranks.mark}") % 2**63)
        batch = passes.pack(group, device, share=plan.share, whole=settings.neftune > 0)
        with embedding_noise(model, settings.neftune, [len(row.ids) for row in group]):
            loss = summed_loss(model, batch, ranks=ranks, passes=passes, label_smoothing=settings.label_smoothing)
        (loss / weight).backward()
        summed, distinct = summed + float(loss.detach()), distinct + batch.tokens
        if not math.isfinite(float(loss.detach())):
            broken.extend(group)
    summed, distinct = total(ranks, [summed, distinct])
    sum_gradients(list(trainable(model).values()), ranks)
    norm = clip(list(trainable(model).values()), settings.clip)
    finite = math.isfinite(summed) and math.isfinite(norm)
    named = rows if finite else [row for some in gather(ranks, broken) for row in some] or rows
    found = watch.before_move(Reading(step, summed / weight, norm, tuple(row.row_id for row in named)))
    if found is not None:
        hint = "lower train.learning_rate, or look at these rows"
        raise Diverged(f"step {step}: {found.message}", where=_named(found.names), hint=hint)
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


def _named(rows: Sequence[str]) -> str:
    names = ", ".join(rows[:3])
    return f"rows {names}" if len(rows) <= 3 else f"rows {names} and {len(rows) - 3} more"


def _watch(model: Any, plan: Plan, settings: TrainSettings, state: TrainState) -> TrainState:
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
    ranks: Ranks = ALONE,
    passes: Passes = PACKED,
) -> float:
    """Weighted mean loss on the rows held back; no randomness is drawn and no weight moves."""
    device = next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        mine = sum(
            float(summed_loss(model, passes.pack(group, device, share=share), ranks=ranks, passes=passes))
            for group in passes_of(rows, settings.tokens_per_pass, share=share, ranks=ranks, passes=passes)
        )
    let_go(ranks)
    model.train()
    return total(ranks, [mine])[0] / sum(row.weight for row in rows)
