"""The dry run: what a training run would do and need. No optimizer step is taken and nothing is stored."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Bin, Lengths, Place, Provenance, ShownRow, TrainPreview, WeightedText
from tunesmith.context import Context
from tunesmith.models.tasks import EncodedRow, Task
from tunesmith.recipe import TrainSettings
from tunesmith.train.checkpoint import trainable_tensors
from tunesmith.train.estimate import ACTIVATIONS_HOW, TIME_HOW, fixed_memory, measure_micro_batch
from tunesmith.train.optimizers import build_optimizer
from tunesmith.train.precision import resolve_precision
from tunesmith.train.setup import TrainingSetup, TrainInputs, provenance_of, set_up_training

HISTOGRAM_BINS: Final = 10


def dry_run(inputs: TrainInputs, settings: TrainSettings, context: Context) -> TrainPreview:
    """What `run` would do with these inputs, and the memory and time it would need.

    Raises DataError when no row is left to train on, and Misuse when the model cannot be trained as the recipe asks.
    """
    settings = resolve_precision(settings)
    setup = set_up_training(inputs, settings, context)
    steps = context.progress.track(range(len(setup.steps)), label="plan steps", total=len(setup.steps))
    groups = [
        group
        for step in steps
        for group in setup.task.split(setup.rows_of_step(step), settings.tokens_per_pass, share=setup.share)
    ]
    computed = [setup.task.computed(group, share=setup.share) for group in groups]
    # Memory and time are measured on the micro-batch with the most computed tokens.
    largest = groups[computed.index(max(computed))]
    measurement = measure_micro_batch(
        setup.model, largest, settings=settings, share=setup.share, clock=context.clock, batching=setup.task
    )
    measured = {
        "activation_bytes": float(measurement.kept_bytes),
        "pass_tokens": float(measurement.tokens),
        "pass_seconds": round(measurement.seconds, 6),
        "training_seconds": round(measurement.seconds / measurement.tokens * sum(computed), 3),
        "threads": float(torch.get_num_threads()),
        **setup.sharing.measured(),
    }
    provenance = provenance_of("train-preview", inputs, setup.base, settings=settings, context=context)
    preview = _preview(setup, computed=sum(computed), settings=settings, provenance=provenance)
    return preview.model_copy(update={"measured": measured})


def length_summary(values: Sequence[int]) -> Lengths:
    """Minimum, median, 95th percentile and maximum of integers, and a histogram of at most ten equal bins."""
    ordered = sorted(values)
    least, most = ordered[0], ordered[-1]
    width = math.ceil((most - least + 1) / HISTOGRAM_BINS)
    counts: dict[int, int] = {}
    for value in ordered:
        counts[(value - least) // width] = counts.get((value - least) // width, 0) + 1
    bins = tuple(
        Bin(low=low, high=min(low + width - 1, most), count=counts.get((low - least) // width, 0))
        for low in range(least, most + 1, width)
    )
    ranks = {share: math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.95)}
    return Lengths(least=least, median=ordered[ranks[0.5]], p95=ordered[ranks[0.95]], most=most, bins=bins)


def show_row(row: EncodedRow, place: Place, *, task: Task, tokenizer: PreTrainedTokenizerBase) -> ShownRow:
    """A row decoded in parts, control tokens included, with the weight of every part in the loss."""
    pieces = tuple(WeightedText(text=text, weight=weight) for text, weight in task.read_back(row, tokenizer))
    return ShownRow(place=place, tokens=len(row.ids), trained=row.supervised, pieces=pieces)


def _preview(setup: TrainingSetup, *, computed: int, settings: TrainSettings, provenance: Provenance) -> TrainPreview:
    rows, steps = setup.rows, [setup.rows_of_step(step) for step in range(len(setup.steps))]
    return TrainPreview(
        provenance=provenance,
        base=setup.base,
        method=settings.method,
        objective=settings.objective,
        window=setup.window,
        rows=len(setup.places),
        rejected=setup.rejected,
        held_back=len({row.row_id for row in setup.validation}),
        sequences=len(rows),
        examples=tuple(
            show_row(row, setup.places[row.row_id], task=setup.task, tokenizer=setup.tokenizer)
            for row in _example_rows(rows)
        ),
        lengths=length_summary([len(row.ids) for row in rows]),
        trained_lengths=length_summary([row.supervised for row in rows]),
        steps=len(steps),
        epochs=round(sum(len(step) for step in steps) / len(rows), 4),
        step_tokens=length_summary([_token_count(step) for step in steps]),
        epoch_tokens=_token_count(rows),
        tokens=sum(_token_count(step) for step in steps),
        trained_tokens=sum(row.supervised for step in steps for row in step),
        distinct_tokens=sum(_distinct_token_count(step, setup) for step in steps),
        computed_tokens=computed,
        shares=setup.share,
        sharing=setup.sharing.reason,
        trainable_parameters=sum(value.numel() for value in trainable_tensors(setup.model).values()),
        memory=fixed_memory(setup.model, build_optimizer(setup.model, settings)),
        activations_how=ACTIVATIONS_HOW,
        time_how=TIME_HOW,
    )


def _example_rows(rows: Sequence[EncodedRow]) -> list[EncodedRow]:
    """The first row, the row with the fewest supervised tokens and the longest row, each once."""
    places = range(len(rows))
    least, longest = min(places, key=lambda at: rows[at].supervised), max(places, key=lambda at: len(rows[at].ids))
    return [rows[at] for at in dict.fromkeys((0, least, longest))]


def _token_count(rows: Sequence[EncodedRow]) -> int:
    return sum(len(row.ids) for row in rows)


def _distinct_token_count(rows: Sequence[EncodedRow], setup: TrainingSetup) -> int:
    """Tokens of a step with every shared prefix counted once; an encoder's rows share nothing."""
    return setup.task.computed(rows, share=True) if setup.task.head is None else _token_count(rows)
