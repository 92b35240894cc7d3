"""Greedy decoding in batches. A finished row makes room for the next prompt, or leaves the batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tunesmith.models.backends.engine import DecodingBatch, Engine, PrefillQueue, TokenIds

MIN_ACTIVE_SHARE = 0.75
"""Finished rows are dropped once fewer than this share of the batch is active. Dropping copies the cache."""

MIN_FREE_SHARE = 0.125
"""Waiting prompts are prefilled once this share of the rows has finished. Prefilling a few at a time costs more than it saves."""


@dataclass(frozen=True)
class GenerationLimits:
    """A completion ends before an id of `stops`, at `new` tokens, or at the end of the context."""

    stops: frozenset[int]
    new: int
    context: int


def generate(
    engine: Engine,
    prompts: Sequence[TokenIds],
    *,
    max_new_tokens: int,
    batch: int,
    stops: frozenset[int],
    report: Callable[[int], None] = lambda rows: None,
) -> list[list[int]]:
    """One greedy completion per prompt, in order.

    A completion ends before an id of `stops`, at `max_new_tokens`, or at the end of the context. `report` receives the number
    of rows that finished since the last call.
    """
    completions: list[list[int]] = [[] for _ in prompts]
    if max_new_tokens < 1:
        return completions
    limits = GenerationLimits(stops, max_new_tokens, engine.context)
    queue = engine.prefill_queue(prompts, new_tokens=max_new_tokens)
    batch = min(batch, queue.max_rows())
    while queue.waiting:
        _decode_batch(queue, queue.take(batch), completions, limits=limits, report=report)
    return completions


def _decode_batch(
    queue: PrefillQueue,
    rows: DecodingBatch,
    completions: list[list[int]],
    *,
    limits: GenerationLimits,
    report: Callable[[int], None],
) -> None:
    """Decode a batch until every row has finished. Waiting prompts take the places of finished rows."""
    engine, active = queue.engine, set(rows.indices)
    while active:
        tokens = engine.logits(rows.hidden).argmax(dim=-1)
        finished = _append_tokens(rows, tokens, active, completions, limits=limits)
        report(len(finished))
        active -= finished
        if not active:
            return
        if not queue.waiting and len(active) < MIN_ACTIVE_SHARE * len(rows.indices):
            tokens = _drop_finished(rows, tokens, active)
        rows.hidden = engine.step(tokens, rows.lengths, rows.cache)
        # A finished row that stays in the batch must not run out of slots; no active row reaches this bound.
        rows.lengths = (rows.lengths + 1).clamp(max=rows.cache.capacity - 1)
        free = [at for at, index in enumerate(rows.indices) if index not in active]
        if queue.waiting and len(free) >= MIN_FREE_SHARE * len(rows.indices):
            fresh = queue.take(len(free))
            _fill_free_rows(rows, free, fresh)
            active.update(fresh.indices)


def _append_tokens(
    rows: DecodingBatch,
    tokens: torch.Tensor,
    active: set[int],
    completions: list[list[int]],
    *,
    limits: GenerationLimits,
) -> set[int]:
    """Append the new token of every active row to its completion; returns the rows that finish with it."""
    finished = set()
    for index, token, length in zip(rows.indices, tokens.tolist(), rows.lengths.tolist(), strict=True):
        if index not in active:
            continue
        if token not in limits.stops:
            completions[index].append(token)
        if token in limits.stops or len(completions[index]) == limits.new or length + 1 >= limits.context:
            finished.add(index)
    return finished


def _drop_finished(rows: DecodingBatch, tokens: torch.Tensor, active: set[int]) -> torch.Tensor:
    """Drop the finished rows; returns the tokens [n] of the active ones."""
    positions = [at for at, index in enumerate(rows.indices) if index in active]
    kept = torch.tensor(positions, device=tokens.device)
    rows.cache.keep_rows(kept)
    rows.indices, rows.lengths = [rows.indices[at] for at in positions], rows.lengths[kept]
    return tokens[kept]


def _fill_free_rows(rows: DecodingBatch, free: Sequence[int], fresh: DecodingBatch) -> None:
    """Put freshly prefilled prompts into free rows of the batch."""
    filled = free[: len(fresh.indices)]
    positions = torch.tensor(filled, device=rows.lengths.device)
    rows.cache.replace_rows(positions, fresh.cache)
    rows.lengths[positions], rows.hidden[positions] = fresh.lengths, fresh.hidden
    for at, index in zip(filled, fresh.indices, strict=True):
        rows.indices[at] = index
