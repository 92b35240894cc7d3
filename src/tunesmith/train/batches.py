"""The rows of every step: a seeded permutation per epoch, cut by rows or by tokens. Packing does not change it."""

import math
from collections.abc import Sequence

import numpy

from tunesmith.context import Context
from tunesmith.recipe import TrainSettings


def plan_steps(lengths: Sequence[int], settings: TrainSettings, context: Context) -> list[list[int]]:
    """Row indices of every optimizer step. Epochs follow each other without a gap, so only the last step may be smaller."""
    order = _row_order(len(lengths), settings, context)
    steps = (
        _split_by_rows(order, settings.rows_per_step)
        if settings.rows_per_step
        else _split_by_tokens(order, lengths, settings)
    )
    return steps if settings.max_steps is None else steps[: settings.max_steps]


def _row_order(rows: int, settings: TrainSettings, context: Context) -> list[int]:
    count = math.ceil(round(settings.epochs * rows, 6))  # 1.1 * 10 is 11.000000000000002
    order: list[int] = []
    for epoch in range(math.ceil(settings.epochs)):
        generator = numpy.random.default_rng(context.seed_for(f"train/order/{settings.seed}/{epoch}"))
        order.extend(generator.permutation(rows).tolist())
    return order[:count]


def _split_by_rows(order: list[int], rows_per_step: int) -> list[list[int]]:
    return [order[start : start + rows_per_step] for start in range(0, len(order), rows_per_step)]


def _split_by_tokens(order: list[int], lengths: Sequence[int], settings: TrainSettings) -> list[list[int]]:
    """A step ends with the row that brings it to at least `tokens_per_step` tokens."""
    steps: list[list[int]] = [[]]
    tokens = 0
    for row in order:
        if tokens >= (settings.tokens_per_step or 0):
            steps.append([])
            tokens = 0
        steps[-1].append(row)
        tokens += lengths[row]
    return steps
