"""Pack rows into one batch: a flat sequence without padding, and the (hidden state, label) pairs that the loss reads."""

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
    path_indices,
)

MAX_READ_SHARE: Final = 0.8
"""The last layer is pruned if the loss reads at most this share of the hidden states; above it, copying rows costs more."""


@dataclass(frozen=True)
class PackedBatch:
    """The tensors of one forward over T tokens with S (hidden state, label) pairs.

    A pair that several rows share through a common prefix is stored once; its weight is the sum over those rows.
    """

    ids: torch.Tensor
    """[1, T] int64."""

    positions: torch.Tensor
    """[1, T] int64: position of each token in its own row."""

    segments: tuple[Segment, ...]
    """What attention works on: one segment per row that adds tokens."""

    attention_plan: AttentionPlan | None
    """How short segments are batched for attention; None on CUDA, where one kernel takes all segments."""

    hidden_index: torch.Tensor
    """[S] int64: the flat index of the hidden state that predicts each label."""

    labels: torch.Tensor
    """[S] int64."""

    weights: torch.Tensor
    """[S] fp32: weight of each pair in the loss. Pairs of weight 1 come first."""

    unit_weights: int
    """How many pairs, from the first on, have weight 1."""

    inverse: torch.Tensor
    """[R] int64: the pair of each of the R trained tokens, in the order of the rows."""

    last_layer_rows: LastLayerRows | None
    """What the last layer has to compute; None if that is nearly everything."""

    tokens: int
    """Distinct tokens of the rows, counting those that `needed_ids` drops."""


def split_micro_batches(
    rows: Sequence[EncodedSequence], tokens_per_pass: int, *, share: bool = False
) -> Iterator[Sequence[EncodedSequence]]:
    """Split rows into groups of at most `tokens_per_pass` tokens; a longer single row is a group of its own.

    Groups are consecutive rows. With `share` they are consecutive in the order of token ids, so a shared prefix is computed
    once per group, and each row counts only the tokens that it adds.
    """
    ordered = [rows[number] for number in order_by_ids(rows)] if share else rows
    start, total = 0, 0
    for position, row in enumerate(ordered):
        added = len(row.ids)
        if share and position > start:
            added -= common_prefix_length(ordered[position - 1].ids, row.ids)
        if position > start and total + added > tokens_per_pass:
            yield ordered[start:position]
            start, total, added = position, 0, len(row.ids)
        total += added
    if start < len(ordered):
        yield ordered[start:]


def pack_rows(
    rows: Sequence[EncodedSequence], device: torch.device, *, share: bool = False, whole: bool = False
) -> PackedBatch:
    """Pack rows into one batch on a device. `share` stores common prefixes once; `whole` keeps tokens that no loss reads.

    The first token of a row is never a label, since nothing precedes it.
    """
    layout = lay_out(rows, share=share, whole=whole)
    weights: dict[tuple[int, int], float] = {}  # (flat index, label) -> weight
    trained: list[tuple[int, int]] = []
    for row, path in zip(rows, layout.paths, strict=True):
        for pair, weight in _trained_pairs(row, path):
            weights[pair] = weights.get(pair, 0.0) + weight
            trained.append(pair)
    pairs = sorted(weights, key=lambda pair: weights[pair] != 1.0)  # stable: weight 1 first
    pair_number = {pair: number for number, pair in enumerate(pairs)}
    total, read = len(layout.ids), sorted({index for index, _ in weights})
    return PackedBatch(
        ids=torch.tensor([layout.ids], dtype=torch.int64, device=device),
        positions=torch.tensor([layout.positions], dtype=torch.int64, device=device),
        segments=layout.segments,
        attention_plan=_attention_plan(layout.segments, total, device),
        hidden_index=torch.tensor([index for index, _ in pairs], dtype=torch.int64, device=device),
        labels=torch.tensor([label for _, label in pairs], dtype=torch.int64, device=device),
        weights=torch.tensor([weights[pair] for pair in pairs], dtype=torch.float32, device=device),
        unit_weights=sum(weight == 1.0 for weight in weights.values()),
        inverse=torch.tensor([pair_number[pair] for pair in trained], dtype=torch.int64, device=device),
        last_layer_rows=_last_layer_rows(layout.segments, read, total, device),
        tokens=count_distinct_tokens(rows) if share else sum(len(row.ids) for row in rows),
    )


def _last_layer_rows(
    segments: Sequence[Segment], read: Sequence[int], total: int, device: torch.device
) -> LastLayerRows | None:
    """What the last layer computes if the loss reads the hidden states at `read` (ascending) of `total`."""
    if not 0 < len(read) <= MAX_READ_SHARE * total:
        return None
    return LastLayerRows(
        index=torch.tensor(read, dtype=torch.int64, device=device),
        total=total,
        segments=narrow_segments(segments, read),
        attention_plan=_attention_plan(segments, total, device, query_indices=read),
    )


def _attention_plan(
    segments: Sequence[Segment], total: int, device: torch.device, *, query_indices: Sequence[int] | None = None
) -> AttentionPlan | None:
    if device.type == "cuda":
        return None
    return plan_attention(segments, total, query_indices=query_indices, share_prefixes=device.type == "cpu")


def _trained_pairs(row: EncodedSequence, path: tuple[IndexRange, ...]) -> Iterator[tuple[tuple[int, int], float]]:
    """((flat index of the hidden state, label), weight) of every trained token of a row, in order."""
    indices = path_indices(path)
    for (start, end), weight in zip(row.spans, row.weights or (1.0,) * len(row.spans), strict=True):
        for position in range(max(start, 1), end):
            yield (indices[position - 1], row.ids[position]), weight
