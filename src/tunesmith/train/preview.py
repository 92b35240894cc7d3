"""The dry run: everything that training does before its first step, told instead of done. No step is taken and nothing kept."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tunesmith import process
from tunesmith.artifacts import (
    Bin,
    Lengths,
    ModelRef,
    Piece,
    Place,
    Provenance,
    RejectedRow,
    Row,
    ShownRow,
    TrainPreview,
)
from tunesmith.context import Context
from tunesmith.data.chat import Encoded
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError
from tunesmith.models.loading import context_length
from tunesmith.models.packed.check import check_packable
from tunesmith.models.packed.layout import distinct_tokens
from tunesmith.models.packed.plan import split_passes
from tunesmith.models.tasks import Task, build_task
from tunesmith.recipe import TrainSettings
from tunesmith.train.batches import plan_steps
from tunesmith.train.checkpoint import trainable
from tunesmith.train.distributed.shard import to_device
from tunesmith.train.estimate import ACTIVATIONS_HOW, TIME_HOW, fixed_memory, try_pass
from tunesmith.train.methods import check_machine, load_base, prepare_model
from tunesmith.train.optimizers import build_optimizer
from tunesmith.train.run import TrainInputs, base_of, decide_sharing, hold_back

process.prepare()

import torch  # noqa: E402
from transformers import PreTrainedTokenizerBase  # noqa: E402

UNBOUNDED: Final = 2**31
BINS: Final = 10


@dataclass(frozen=True)
class Ready:
    """What a run has before its first step. `window` is the longest a row may be; `share`: rows of a pass share prefixes."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    base: ModelRef
    window: int
    share: bool
    rows: Sequence[Encoded]
    validation: Sequence[Encoded]
    steps: Sequence[Sequence[int]]
    rejected: tuple[RejectedRow, ...]
    places: dict[str, Place]

    def of_step(self, step: int) -> list[Encoded]:
        """The rows of one step."""
        return [self.rows[index] for index in self.steps[step]]


def dry_run(inputs: TrainInputs, settings: TrainSettings, context: Context) -> TrainPreview:
    """What `run` would do with these inputs, row by row, and what it would need.

    Raises DataError when no row is left to train on, Misuse when the model cannot be trained as the recipe asks.
    """
    ready = get_ready(inputs, settings, context)
    told = context.progress.track(range(len(ready.steps)), label="plan steps", total=len(ready.steps))
    passes = [
        group
        for step in told
        for group in split_passes(ready.of_step(step), settings.tokens_per_pass, share=ready.share)
    ]
    computed = [_computed(group, ready.share) for group in passes]
    largest = passes[computed.index(max(computed))]
    trial = try_pass(ready.model, largest, settings=settings, share=ready.share, clock=context.clock)
    measured = {
        "activation_bytes": float(trial.kept_bytes),
        "pass_tokens": float(trial.tokens),
        "pass_seconds": round(trial.seconds, 6),
        "training_seconds": round(trial.seconds / trial.tokens * sum(computed), 3),
        "threads": float(torch.get_num_threads()),
    }
    provenance = provenance_of("train-preview", inputs, ready.base, settings=settings, context=context)
    preview = _preview(ready, computed=sum(computed), settings=settings, provenance=provenance)
    return preview.model_copy(update={"measured": measured})


def get_ready(inputs: TrainInputs, settings: TrainSettings, context: Context) -> Ready:
    """Do what `run` does up to its first step, but collect the rows it stops at. Random state is left as it was found."""
    check_machine(settings)
    rows = load_rows(inputs.dataset, context.store)
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        base = base_of(inputs.base, rows, context)
        model, tokenizer = load_base(context.store.checkout(base.tree), settings)
        window = min(settings.max_tokens or context_length(model), context_length(model))
        told = context.progress.track(rows, label="encode rows", total=len(rows))
        task = build_task(inputs.task)
        encoded, rejected = sort_out(told, task, tokenizer, window=window, objective=settings.objective)
        kept, validation = hold_back(encoded, settings, context)
        model = to_device(prepare_model(model, settings, context))
        check_packable(model)
    return Ready(
        model=model,
        tokenizer=tokenizer,
        base=base,
        window=window,
        share=decide_sharing(model, settings, context),
        rows=kept,
        validation=validation,
        steps=plan_steps([len(row.ids) for row in kept], settings, context),
        rejected=rejected,
        places={row.row_id: _place(row) for row in rows},
    )


def sort_out(
    rows: Iterable[Row], task: Task, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str
) -> tuple[list[Encoded], tuple[RejectedRow, ...]]:
    """Every row that can be trained on as tokens, and every other row with the reason. Raises DataError when none is left."""
    encoded: list[Encoded] = []
    rejected: list[RejectedRow] = []
    for row in rows:
        try:
            pieces = task.encode(row, tokenizer, window=window, objective=objective)
        except DataError as error:
            whole = _without_limit(row, task, tokenizer, objective)
            rejected.append(_rejected(row, error.what, whole=whole, window=window))
            continue
        if pieces and all(piece.supervised for piece in pieces):
            encoded.extend(pieces)
        else:
            rejected.append(RejectedRow(place=_place(row), reason=f"row {row.row_id} has no token to train on"))
    if encoded:
        return encoded, tuple(rejected)
    if not rejected:
        raise DataError("no rows are left to train on", hint="look at the audit's quarantine")
    first = rejected[0]
    raise DataError(
        f"none of the {len(rejected)} rows can be trained on; the first: {first.reason}",
        where=f"{first.place.file}:{first.place.line}",
    )


def provenance_of(
    stage: str, inputs: TrainInputs, base: ModelRef, *, settings: TrainSettings, context: Context
) -> Provenance:
    """What a look ahead is made from: the same inputs and settings as the run's."""
    return context.provenance(
        stage,
        inputs={"dataset": inputs.dataset.rows_digest, "base": base.tree},
        settings={"train": settings.model_dump(mode="json"), "task": inputs.task.model_dump(mode="json")},
    )


def lengths_of(values: Sequence[int]) -> Lengths:
    """Least, median, 95% and most of some whole numbers, and a histogram of at most ten equal bins."""
    ordered = sorted(values)
    least, most = ordered[0], ordered[-1]
    width = math.ceil((most - least + 1) / BINS)
    counts: dict[int, int] = {}
    for value in ordered:
        counts[(value - least) // width] = counts.get((value - least) // width, 0) + 1
    bins = tuple(
        Bin(low=low, high=min(low + width - 1, most), count=counts.get((low - least) // width, 0))
        for low in range(least, most + 1, width)
    )
    ranks = {share: math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.95)}
    return Lengths(least=least, median=ordered[ranks[0.5]], p95=ordered[ranks[0.95]], most=most, bins=bins)


def show_row(row: Encoded, place: Place, tokenizer: PreTrainedTokenizerBase) -> ShownRow:
    """A row decoded piece by piece, control tokens and all, with the weight of every piece in the loss."""
    pieces: list[Piece] = []
    last = 0
    for (start, end), weight in zip(row.spans, row.weights or (1.0,) * len(row.spans), strict=True):
        first = max(start, 1)  # nothing precedes the first token, so it is never trained
        pieces += _decoded(tokenizer, row.ids[last:first], 0.0) + _decoded(tokenizer, row.ids[first:end], weight)
        last = end
    pieces += _decoded(tokenizer, row.ids[last:], 0.0)
    return ShownRow(place=place, tokens=len(row.ids), trained=row.supervised, pieces=tuple(pieces))


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], weight: float) -> list[Piece]:
    return [Piece(text=str(tokenizer.decode(list(ids))), weight=weight)] if ids else []


def _without_limit(row: Row, task: Task, tokenizer: PreTrainedTokenizerBase, objective: str) -> list[Encoded]:
    """The row as it would be in an endless context; nothing when its length is not what is wrong with it."""
    try:
        return task.encode(row, tokenizer, window=UNBOUNDED, objective=objective)
    except DataError:
        return []


def _rejected(row: Row, reason: str, *, whole: Sequence[Encoded], window: int) -> RejectedRow:
    """A row may be several sequences, one per answer; `tokens` is the longest of them, the losses are of all."""
    return RejectedRow(
        place=_place(row),
        reason=reason,
        tokens=max((len(piece.ids) for piece in whole), default=None),
        lost=sum(max(0, len(piece.ids) - window) for piece in whole),
        lost_trained=sum(max(0, end - max(start, window)) for piece in whole for start, end in piece.spans),
    )


def _preview(ready: Ready, *, computed: int, settings: TrainSettings, provenance: Provenance) -> TrainPreview:
    rows, steps = ready.rows, [ready.of_step(step) for step in range(len(ready.steps))]
    return TrainPreview(
        provenance=provenance,
        base=ready.base,
        method=settings.method,
        objective=settings.objective,
        window=ready.window,
        rows=len(ready.places),
        rejected=ready.rejected,
        held_back=len({row.row_id for row in ready.validation}),
        sequences=len(rows),
        examples=tuple(show_row(row, ready.places[row.row_id], ready.tokenizer) for row in _telling(rows)),
        lengths=lengths_of([len(row.ids) for row in rows]),
        trained_lengths=lengths_of([row.supervised for row in rows]),
        steps=len(steps),
        epochs=round(sum(len(step) for step in steps) / len(rows), 4),
        step_tokens=lengths_of([_tokens(step) for step in steps]),
        epoch_tokens=_tokens(rows),
        tokens=sum(_tokens(step) for step in steps),
        trained_tokens=sum(row.supervised for step in steps for row in step),
        distinct_tokens=sum(distinct_tokens(step) for step in steps),
        computed_tokens=computed,
        shares=ready.share,
        trainable_parameters=sum(value.numel() for value in trainable(ready.model).values()),
        memory=fixed_memory(ready.model, build_optimizer(ready.model, settings)),
        activations_how=ACTIVATIONS_HOW,
        time_how=TIME_HOW,
    )


def _telling(rows: Sequence[Encoded]) -> list[Encoded]:
    """The first row, the one with the least to train on and the longest one; each once."""
    places = range(len(rows))
    least, longest = min(places, key=lambda at: rows[at].supervised), max(places, key=lambda at: len(rows[at].ids))
    return [rows[at] for at in dict.fromkeys((0, least, longest))]


def _tokens(rows: Sequence[Encoded]) -> int:
    return sum(len(row.ids) for row in rows)


def _computed(rows: Sequence[Encoded], share: bool) -> int:
    """Tokens of one pass that go through the model."""
    return distinct_tokens(rows) if share else _tokens(rows)


def _place(row: Row) -> Place:
    return Place(row_id=row.row_id, file=row.file, line=row.line)
