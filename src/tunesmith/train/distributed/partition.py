"""Which rank computes which rows of a step: a pure function of the rows, so that no rank need ask another."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed.prefix_trie import common_prefix_length, order_by_ids
from tunesmith.models.tasks import PACKED_BATCHING, Batching
from tunesmith.train.distributed.ranks import Ranks


def rank_micro_batches(
    rows: Sequence[Any], tokens_per_pass: int, *, share: bool, ranks: Ranks, passes: Batching = PACKED_BATCHING
) -> list[Sequence[Any]]:
    """This rank's passes over its part of the rows; for one rank exactly those of the task's `passes`.

    Where parameters are cut up every rank must go through the model equally often, because each gathers the others' slices
    for them. A rank with fewer passes fills up with one short row of weight 0, which gives zero gradients to every tensor.
    """
    if ranks.size == 1:
        return list(passes.split(rows, tokens_per_pass, share=share))
    parts = partition_rows(rows, ranks.size, share=share)
    if not ranks.sharded:
        return list(passes.split(parts[ranks.rank], tokens_per_pass, share=share))
    everyones = [list(passes.split(part, tokens_per_pass, share=share)) for part in parts]
    mine, most = everyones[ranks.rank], max(len(one) for one in everyones)
    return [*mine, *([[_padding_row(rows[0])]] * (most - len(mine)))]


def partition_rows(rows: Sequence[EncodedSequence], ranks: int, *, share: bool) -> list[list[EncodedSequence]]:
    """The rows cut into `ranks` neighbouring parts such that the largest part has as few tokens as can be.

    With `share` the rows are taken in the order of their ids and tokens that neighbours share are counted once, so rows
    that begin alike stay together and what they share is computed on few ranks. Parts may be empty; no row is lost.
    """
    ordered = [rows[at] for at in order_by_ids(rows)] if share else list(rows)
    fresh = [len(row.ids) for row in ordered]
    if share:
        for at in range(1, len(ordered)):
            fresh[at] -= common_prefix_length(ordered[at - 1].ids, ordered[at].ids)
    whole = [len(row.ids) for row in ordered]
    low, high = max(whole, default=0), sum(whole)
    while low < high:
        middle = (low + high) // 2
        if len(_part_starts(whole, fresh, middle)) <= ranks:
            high = middle
        else:
            low = middle + 1
    starts = _part_starts(whole, fresh, low)
    bounds = [*starts, *([len(ordered)] * (ranks + 1 - len(starts)))]
    return [ordered[start:end] for start, end in pairwise(bounds)]


def _part_starts(whole: Sequence[int], fresh: Sequence[int], most: int) -> list[int]:
    """Where parts begin when each takes rows as long as it stays within `most` tokens; a part's first row counts whole."""
    starts: list[int] = []
    taken = 0
    for at in range(len(whole)):
        if not starts or taken + fresh[at] > most:
            starts.append(at)
            taken = whole[at]
        else:
            taken += fresh[at]
    return starts


def _padding_row(row: EncodedSequence) -> EncodedSequence:
    """Two tokens of a row, trained with weight 0."""
    return EncodedSequence(row.row_id, row.ids[:2], ((1, 2),), weights=(0.0,))
