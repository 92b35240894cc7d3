"""A pass: the rows of one forward in one flat sequence, with the (hidden state, label) pairs that are trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed.last_layer_pruning import LastLayerRows
from tunesmith.models.packed.padded_batches import AttentionPlan, plan_attention
from tunesmith.models.packed.prefix_trie import (
    IndexRange,
    Segment,
    common_prefix_length,
    count_distinct_tokens,
    lay_out,
    narrow_segments,
    order_by_ids,
)

MAX_READ_SHARE: Final = 0.8
"""The last layer is cut down to the rows that are read when they are at most this share of the pass: rows are copied for it."""


@dataclass(frozen=True)
class PackedBatch:
    """Tensors of one forward: `ids` and `positions` [1, T] int64, and the `segments` that attention works on; off CUDA, their
    `arrangement` in stacks.

    Hidden state `index[k]` predicts token `labels[k]`; both [S] int64. A pair that several rows share stands once. `weights`
    [S] fp32 says how much each pair counts in the loss: the sum, over its rows, of their spans' weights. The first `plain`
    pairs have weight 1. `inverse` [R] is the pair of every trained token in the order of the rows. `ending` is what the last
    layer need compute, None where that is nearly everything. `tokens`: how many distinct tokens the rows have, the T of them
    that go through the trunk and those at the ends of rows that need not.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    segments: tuple[Segment, ...]
    arrangement: AttentionPlan | None
    index: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    plain: int
    inverse: torch.Tensor
    ending: LastLayerRows | None
    tokens: int


def split_micro_batches(
    rows: Sequence[EncodedSequence], tokens_per_pass: int, *, share: bool = False
) -> Iterator[Sequence[EncodedSequence]]:
    """Groups of rows with at most `tokens_per_pass` tokens in the trunk; a longer single row is a pass of its own.

    Without sharing the groups are consecutive. With it they are consecutive in the order of the token ids, so that what
    rows share is computed once per pass, and a row is charged only the tokens that it adds.
    """
    ordered = [rows[at] for at in order_by_ids(rows)] if share else rows
    start, total = 0, 0
    for position, row in enumerate(ordered):
        fresh = len(row.ids)
        if share and position > start:
            fresh -= common_prefix_length(ordered[position - 1].ids, row.ids)
        if position > start and total + fresh > tokens_per_pass:
            yield ordered[start:position]
            start, total, fresh = position, 0, len(row.ids)
        total += fresh
    if start < len(ordered):
        yield ordered[start:]


def pack_rows(
    rows: Sequence[EncodedSequence], device: torch.device, *, share: bool = False, whole: bool = False
) -> PackedBatch:
    """Lay rows out as one pass. The first token of a row is never a label: nothing precedes it. `whole`: see `lay_out`."""
    layout = lay_out(rows, share=share, whole=whole)
    weights: dict[tuple[int, int], float] = {}
    trained: list[tuple[int, int]] = []
    for row, path in zip(rows, layout.paths, strict=True):
        for pair, weight in _trained_pairs(row, path):
            weights[pair] = weights.get(pair, 0.0) + weight
            trained.append(pair)
    ordered = sorted(weights, key=lambda pair: weights[pair] != 1.0)
    number = {pair: at for at, pair in enumerate(ordered)}
    return PackedBatch(
        ids=torch.tensor([layout.ids], dtype=torch.int64, device=device),
        positions=torch.tensor([layout.positions], dtype=torch.int64, device=device),
        segments=layout.segments,
        arrangement=_attention_plan(layout.segments, len(layout.ids), device),
        index=torch.tensor([place for place, _ in ordered], dtype=torch.int64, device=device),
        labels=torch.tensor([label for _, label in ordered], dtype=torch.int64, device=device),
        weights=torch.tensor([weights[pair] for pair in ordered], dtype=torch.float32, device=device),
        plain=sum(weight == 1.0 for weight in weights.values()),
        inverse=torch.tensor([number[pair] for pair in trained], dtype=torch.int64, device=device),
        ending=_last_layer_rows(layout.segments, sorted({place for place, _ in weights}), len(layout.ids), device),
        tokens=count_distinct_tokens(rows) if share else sum(len(row.ids) for row in rows),
    )


def _last_layer_rows(
    segments: Sequence[Segment], read: Sequence[int], total: int, device: torch.device
) -> LastLayerRows | None:
    if not 0 < len(read) <= MAX_READ_SHARE * total:
        return None
    arrangement = _attention_plan(segments, total, device, asked=read)
    return LastLayerRows(
        torch.tensor(read, dtype=torch.int64, device=device), total, narrow_segments(segments, read), arrangement
    )


def _attention_plan(
    segments: Sequence[Segment], total: int, device: torch.device, *, asked: Sequence[int] | None = None
) -> AttentionPlan | None:
    if device.type == "cuda":
        return None
    return plan_attention(segments, total, asked=asked, roots=device.type == "cpu")


def _trained_pairs(row: EncodedSequence, path: tuple[IndexRange, ...]) -> Iterator[tuple[tuple[int, int], float]]:
    """((place of the hidden state, label), weight) of every trained token of a row, in order."""
    places = [place for start, end in path for place in range(start, end)]
    for (start, end), weight in zip(row.spans, row.weights or (1.0,) * len(row.spans), strict=True):
        for at in range(max(start, 1), end):
            yield (places[at - 1], row.ids[at]), weight
