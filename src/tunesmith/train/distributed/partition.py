"""Partition the rows of a step among the ranks. A pure function of the rows, so ranks need no communication to agree."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import common_prefix_length, order_by_ids
from tunesmith.models.tasks import PACKED_BATCHING, Batching
from tunesmith.train.distributed.ranks import Ranks


def rank_micro_batches(
    rows: Sequence[Any], tokens_per_pass: int, *, share: bool, ranks: Ranks, batching: Batching = PACKED_BATCHING
) -> list[Sequence[Any]]:
    """This rank's micro-batches of the rows of a step; for a single rank those of `batching.split`.

    Under FSDP2 every rank must run the model equally often, because each forward gathers slices from all ranks. A rank with
    fewer micro-batches adds some of one padding row with weight 0, whose gradients are zero.
    """
    if ranks.size == 1:
        return list(batching.split(rows, tokens_per_pass, share=share))
    parts = partition_rows(rows, ranks.size, share=share)
    if not ranks.sharded:
        return list(batching.split(parts[ranks.rank], tokens_per_pass, share=share))
    by_rank = [list(batching.split(part, tokens_per_pass, share=share)) for part in parts]
    own, most = by_rank[ranks.rank], max(len(groups) for groups in by_rank)
    return [*own, *([[_padding_row(rows[0])]] * (most - len(own)))]


def partition_rows(rows: Sequence[EncodedSequence], ranks: int, *, share: bool) -> list[list[EncodedSequence]]:
    """Cut the rows into `ranks` contiguous parts so that the largest part has as few tokens as possible.

    With `share`, rows are sorted by token ids and a prefix that neighbours share is counted once: rows with a common prefix
    stay together, so the prefix is computed on few ranks. Parts may be empty; every row is in exactly one part.
    """
    ordered = [rows[at] for at in order_by_ids(rows)] if share else list(rows)
    # Tokens that a row adds to a part: all of its own, or those behind the prefix it shares with the row before it.
    added = [len(row.ids) for row in ordered]
    if share:
        for at in range(1, len(ordered)):
            added[at] -= common_prefix_length(ordered[at - 1].ids, ordered[at].ids)
    whole = [len(row.ids) for row in ordered]
    # Binary search for the smallest limit under which the rows fit into `ranks` parts.
    low, high = max(whole, default=0), sum(whole)
    while low < high:
        middle = (low + high) // 2
        if len(_part_starts(whole, added, middle)) <= ranks:
            high = middle
        else:
            low = middle + 1
    starts = _part_starts(whole, added, low)
    bounds = [*starts, *([len(ordered)] * (ranks + 1 - len(starts)))]
    return [ordered[start:end] for start, end in pairwise(bounds)]


def _part_starts(whole: Sequence[int], added: Sequence[int], limit: int) -> list[int]:
    """Start index of each part when parts are filled greedily up to `limit` tokens; the first row of a part counts whole."""
    starts: list[int] = []
    tokens = 0
    for at in range(len(whole)):
        if not starts or tokens + added[at] > limit:
            starts.append(at)
            tokens = whole[at]
        else:
            tokens += added[at]
    return starts


def _padding_row(row: EncodedSequence) -> EncodedSequence:
    """The first two tokens of a row, supervised with weight 0."""
    return EncodedSequence(row.row_id, row.ids[:2], ((1, 2),), weights=(0.0,))
