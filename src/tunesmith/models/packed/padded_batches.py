"""Plan attention for a batch: short segments go side by side in padded batches, long ones are attended one by one.

A kernel call costs about as much as the attention of a hundred tokens, so one call for many short segments is faster. Rows are
padded at the end to the longest of their batch. Attention is causal, so no token sees the padding and no mask is needed;
outputs at padding are discarded.

A segment with a shared prefix carries the prefix's queries along for the same reason: no mask. If those would be a large share
of all queries, only the segment's own queries are computed, under a mask per row.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tunesmith.models.packed.prefix_trie import IndexRange, Segment, narrow_segments, path_indices

MAX_ROW_TOKENS = 256
"""A longer segment is worth a kernel call of its own."""

MAX_BATCH_SLOTS = 8192
"""Tokens of a padded batch, padding included."""

MIN_LENGTH_RATIO = 0.7
"""The shortest row of a padded batch has at least this share of the longest, unless all have `TINY_ROW_TOKENS` at most."""

TINY_ROW_TOKENS = 16

SHORT_ROW_TOKENS = 128
"""A row this short, prefix included, is batched even if most of it is a shared prefix."""

MIN_SAVED_COPIES = 256
"""Keys of a shared prefix are read in place (see prefix_attention.py) if that saves at least this many copies of tokens:
its tokens times the segments behind it."""

MAX_QUERY_SHARE = 0.85
"""Own queries are computed alone if they are at most this share of a row's slots; a mask costs about a seventh."""

NO_INDICES = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class SharedPrefix:
    """Flat indices `start` to `end`, a prefix of every token from `end` to `stop`.

    `query_indices` [n] int64 are the queries behind it that are computed; None: all of them.
    """

    start: int
    end: int
    stop: int
    query_indices: torch.Tensor | None = None


@dataclass(frozen=True)
class AttentionBatch:
    """`rows` segments side by side, each with its prefix and padded to `length` slots."""

    rows: int
    length: int

    key_indices: torch.Tensor
    """[rows * length] int64: the flat index of each slot; padding repeats the row's last one."""

    queries_per_row: int

    query_indices: torch.Tensor | None = None
    """[rows * queries_per_row] int64: flat indices of the queries, padded likewise; None: every slot is a query."""

    mask: torch.Tensor | None = None
    """[rows, 1, queries_per_row, length] bool, True where a query sees a key; None: causal."""

    gradient_indices: torch.Tensor = NO_INDICES
    """[rows * queries_per_row] int64: the flat index whose output a query computes, T (one past the last) if its output is
    discarded, as that of padding and of a prefix carried along."""


@dataclass(frozen=True)
class AttentionPlan:
    """How attention of a batch of T tokens is computed: padded batches first, then single segments."""

    batches: tuple[AttentionBatch, ...]

    single: tuple[int, ...]
    """Numbers of the `segments` that are attended one by one."""

    output_order: torch.Tensor
    """[T] int64: where the output of each flat index is, once the outputs of all batches and single segments are concatenated
    and, with `has_gaps`, followed by one row of zeros. An index in no segment points at the zeros."""

    has_gaps: bool
    """Whether some flat index is in no segment."""

    segments: tuple[Segment, ...]
    """What is attended, without the shared prefixes."""

    shared_prefixes: tuple[SharedPrefix, ...]

    max_keys: int
    """The most keys that a query of a padded batch, or behind a shared prefix, can see."""


def plan_attention(
    segments: Sequence[Segment],
    total: int,
    *,
    query_indices: Sequence[int] | None = None,
    share_prefixes: bool = False,
) -> AttentionPlan:
    """Plan a batch of `total` tokens.

    `query_indices` (ascending) are the only queries whose output is needed; None: all. With `share_prefixes` the keys of a
    prefix that many segments share are read in place instead of copied for each.
    """
    prefixes = find_shared_prefixes(segments) if share_prefixes else ()
    parts = remove_shared_prefixes(segments, prefixes)
    if query_indices is not None:
        parts = narrow_segments(parts, query_indices)
        prefixes = tuple(_with_queries(prefix, query_indices) for prefix in prefixes)
        prefixes = tuple(prefix for prefix in prefixes if prefix.query_indices is None or len(prefix.query_indices))
    groups = _group_by_length(parts)
    batched = {number for group in groups for number in group}
    single = tuple(number for number in range(len(parts)) if number not in batched)
    batches = tuple(_build_batch([parts[number] for number in group], total) for group in groups)
    output_starts: list[tuple[Segment, int]] = []  # where the outputs of each segment begin in the concatenation
    offset = 0
    for batch, group in zip(batches, groups, strict=True):
        for row, number in enumerate(group):
            skipped = parts[number].prefix_length if batch.query_indices is None else 0
            output_starts.append((parts[number], offset + row * batch.queries_per_row + skipped))
        offset += batch.rows * batch.queries_per_row
    for number in single:
        output_starts.append((parts[number], offset))
        offset += parts[number].length
    order = [offset] * total
    for segment, start in output_starts:
        order[segment.start : segment.end] = range(start, start + segment.length)
    visible = [batch.length for batch in batches]
    if prefixes:
        visible += [segment.path_length for segment in segments]
    return AttentionPlan(
        batches=batches,
        single=single,
        output_order=torch.tensor(order),
        has_gaps=sum(segment.length for segment in parts) < total,
        segments=parts,
        shared_prefixes=prefixes,
        max_keys=max(visible, default=0),
    )


def find_shared_prefixes(segments: Sequence[Segment]) -> tuple[SharedPrefix, ...]:
    """For each segment, the start of it that saves the most copies if the segments behind it read its keys in place.

    Prefixes that save fewer than `MIN_SAVED_COPIES` are left out.
    """
    prefixes = []
    for number, segment in enumerate(segments):
        shared = segment.length
        best = (0, 0, 0)  # copies saved, tokens of the prefix, where its last follower ends
        for followers, later in enumerate(segments[number + 1 :], 1):
            reach = next((end for start, end in later.prefix if start <= segment.start < end), segment.start)
            if reach == segment.start:
                break
            shared = min(shared, min(reach, segment.end) - segment.start)
            best = max(best, (shared * followers, shared, later.end))
        if best[0] >= MIN_SAVED_COPIES:
            prefixes.append(SharedPrefix(segment.start, segment.start + best[1], best[2]))
    return tuple(prefixes)


def remove_shared_prefixes(segments: Sequence[Segment], prefixes: Sequence[SharedPrefix]) -> tuple[Segment, ...]:
    """The segments without the ranges that shared prefixes stand for, cut in two where such a prefix ends in one."""
    if not prefixes:
        return tuple(segments)
    parts = []
    prefix_ends = {prefix.start: prefix.end for prefix in prefixes}
    for segment in segments:
        before = [prefix for prefix in prefixes if prefix.end <= segment.start < prefix.stop]
        ranges = tuple(outside for inside in segment.prefix for outside in _ranges_outside(inside, before))
        cut = prefix_ends.get(segment.start, segment.start)
        if cut > segment.start:
            parts.append(Segment(segment.start, cut - segment.start, ranges))
        if segment.end > cut:
            parts.append(Segment(cut, segment.end - cut, ranges))
    return tuple(parts)


def _ranges_outside(whole: IndexRange, prefixes: Sequence[SharedPrefix]) -> list[IndexRange]:
    """A range without the prefixes in it; each lies in it entirely or not at all."""
    start, outside = whole[0], []
    for prefix in prefixes:
        if start <= prefix.start and prefix.end <= whole[1]:
            outside.append((start, prefix.start))
            start = prefix.end
    return [part for part in (*outside, (start, whole[1])) if part[0] < part[1]]


def _with_queries(prefix: SharedPrefix, indices: Sequence[int]) -> SharedPrefix:
    chosen = indices[bisect_left(indices, prefix.end) : bisect_left(indices, prefix.stop)]
    return replace(prefix, query_indices=torch.tensor(chosen, dtype=torch.int64))


def _group_by_length(segments: Sequence[Segment]) -> list[list[int]]:
    """Numbers of the segments to batch, in groups of similar length, longest first; a segment alone is no group."""
    short = [
        number
        for number, segment in enumerate(segments)
        if segment.path_length <= SHORT_ROW_TOKENS or segment.prefix_length <= segment.length <= MAX_ROW_TOKENS
    ]
    groups: list[list[int]] = []
    for number in sorted(short, key=lambda at: -segments[at].path_length):
        if groups:
            longest = segments[groups[-1][0]].path_length
            fits = (len(groups[-1]) + 1) * longest <= MAX_BATCH_SLOTS
            is_similar = segments[number].path_length >= MIN_LENGTH_RATIO * longest
            if fits and (longest <= TINY_ROW_TOKENS or is_similar):
                groups[-1].append(number)
                continue
        groups.append([number])
    return [group for group in groups if len(group) > 1]


def _build_batch(segments: Sequence[Segment], total: int) -> AttentionBatch:
    """Segments side by side, the longest of them first."""
    length, most_queries = segments[0].path_length, max(segment.length for segment in segments)
    keys = torch.tensor([_pad(path_indices(segment.path), length) for segment in segments]).view(-1)
    own = [list(range(segment.start, segment.end)) for segment in segments]
    if most_queries > MAX_QUERY_SHARE * length:
        gradients = [
            [total] * segment.prefix_length + indices + [total] * (length - segment.path_length)
            for segment, indices in zip(segments, own, strict=True)
        ]
        return AttentionBatch(len(segments), length, keys, length, gradient_indices=torch.tensor(gradients).view(-1))
    prefix_lengths = torch.tensor([segment.prefix_length for segment in segments])[:, None]  # (rows, 1)
    lengths = torch.tensor([segment.length for segment in segments])[:, None]
    # The last key that each query sees; a padding query sees what the row's last query sees.
    last_keys = prefix_lengths + torch.minimum(torch.arange(most_queries), lengths - 1)  # (rows, queries)
    gradients = [indices + [total] * (most_queries - len(indices)) for indices in own]
    return AttentionBatch(
        rows=len(segments),
        length=length,
        key_indices=keys,
        queries_per_row=most_queries,
        query_indices=torch.tensor([_pad(indices, most_queries) for indices in own]).view(-1),
        mask=torch.arange(length) <= last_keys[:, None, :, None],  # (rows, 1, queries, keys)
        gradient_indices=torch.tensor(gradients).view(-1),
    )


def _pad(indices: list[int], length: int) -> list[int]:
    return indices + indices[-1:] * (length - len(indices))
