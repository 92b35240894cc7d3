"""Short rows of a pass side by side, so that attention is called once for many of them.

A call costs about as much as the attention of a hundred tokens. Rows are padded at their end to the longest of the stack:
under causal attention no token sees what comes after it, so no mask is needed, and what the padding gives is left behind.
Rows behind shared prefixes take the prefix's queries along, for the same reason; where those would be a good part of all
queries, the rows' own queries go alone, under a mask for each row of its own queries by its keys.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tunesmith.models.packed.prefix_trie import IndexRange, Segment, narrow_segments

MAX_ROW_TOKENS = 256
"""A longer row is worth a call of its own."""

NO_INDICES = torch.empty(0, dtype=torch.int64)

MAX_BATCH_SLOTS = 8192
"""Tokens of a stack, padding included, at most."""

MIN_LENGTH_RATIO = 0.7
"""The shortest row of a stack has at least this share of the longest, unless both are under `TINY` tokens."""

TINY_ROW_TOKENS = 16

SHORT_ROW_TOKENS = 128
"""So short a row is stacked even where most of it is a shared prefix."""

MIN_SAVED_COPIES = 256
"""A prefix is kept in place for the rows behind it when so many copies of tokens are saved: its tokens times those rows."""

MAX_QUERY_SHARE = 0.85
"""Own queries go alone when the most of a row are at most this share of its slots; a mask costs about a seventh."""


@dataclass(frozen=True)
class SharedPrefix:
    """A prefix at the places `start` to `end`, seen whole from every place from `end` to `stop`; those in `asked` [n] ask."""

    start: int
    end: int
    stop: int
    asked: torch.Tensor | None = None


@dataclass(frozen=True)
class AttentionBatch:
    """`rows` rows of `length` slots. `places` [rows * length] int64: the flat place of each slot; padding repeats the last.

    `queries` slots of every row ask, all of them unless `asked` [rows * queries] int64 names their places, padded alike. With
    it comes `mask` [rows, 1, queries, length] bool: what each sees. `counted` [rows * queries] has the places of the slots
    that ask for their own row, and one more than the last place of the pass for every other slot.
    """

    rows: int
    length: int
    places: torch.Tensor
    queries: int
    asked: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    counted: torch.Tensor = NO_INDICES


@dataclass(frozen=True)
class AttentionPlan:
    """How a pass is attended: stacks first, then the segments that go alone (`alone`, by number).

    `order` [T] int64: where each flat place stands when the query slots of all stacks, the tokens of the lone segments and,
    with `gaps`, one row of zeros are laid end to end. A place in no segment stands on the zeros. `parts` are the segments that
    are attended, without the `roots` that they stand behind. `longest`: places that a query may see, in what is stacked or
    stands behind a root.
    """

    stacks: tuple[AttentionBatch, ...]
    alone: tuple[int, ...]
    order: torch.Tensor
    gaps: bool
    parts: tuple[Segment, ...]
    roots: tuple[SharedPrefix, ...]
    longest: int


def plan_attention(
    segments: Sequence[Segment], total: int, *, asked: Sequence[int] | None = None, roots: bool = False
) -> AttentionPlan:
    """Stack what is short of a pass of `total` tokens. A segment behind a long prefix goes alone.

    Only the places in `asked` (ascending) need answers; all when it is None. `roots`: prefixes that are worth it are kept in
    place (see rooted.py).
    """
    found = find_shared_prefixes(segments) if roots else ()
    parts = remove_shared_prefixes(segments, found)
    if asked is not None:
        parts = narrow_segments(parts, asked)
        found = tuple(_with_queries(root, asked) for root in found)
        found = tuple(root for root in found if root.asked is None or len(root.asked))
    short = [
        at
        for at, one in enumerate(parts)
        if _path_length(one) <= SHORT_ROW_TOKENS or one.depth <= one.length <= MAX_ROW_TOKENS
    ]
    groups = [
        group
        for group in _group_by_length(sorted(short, key=lambda at: -_path_length(parts[at])), parts)
        if len(group) > 1
    ]
    stacked = {at for group in groups for at in group}
    alone = tuple(at for at in range(len(parts)) if at not in stacked)
    starts: list[tuple[Segment, int]] = []
    stacks, offset = [], 0
    for group in groups:
        stack = _build_batch([parts[at] for at in group], total)
        for row, at in enumerate(group):
            skipped = parts[at].depth if stack.asked is None else 0
            starts.append((parts[at], offset + row * stack.queries + skipped))
        stacks.append(stack)
        offset += stack.rows * stack.queries
    for at in alone:
        starts.append((parts[at], offset))
        offset += parts[at].length
    order = [offset] * total
    for one, start in starts:
        order[one.start : one.start + one.length] = range(start, start + one.length)
    gaps = sum(one.length for one in parts) < total
    longest = max(
        [stack.length for stack in stacks] + ([_path_length(one) for one in segments] if found else []), default=0
    )
    return AttentionPlan(tuple(stacks), alone, torch.tensor(order), gaps, parts, found, longest)


def find_shared_prefixes(segments: Sequence[Segment]) -> tuple[SharedPrefix, ...]:
    """For every segment the start of it that saves most copies when the segments right behind it need not have it each."""
    roots = []
    for at, own in enumerate(segments):
        stop, depth, best = own.start + own.length, own.length, (0, 0, 0)
        for count, later in enumerate(segments[at + 1 :], 1):
            reach = next((end for start, end in later.runs if start <= own.start < end), own.start)
            if reach == own.start:
                break
            depth = min(depth, min(reach, stop) - own.start)
            best = max(best, (depth * count, depth, later.start + later.length))
        if best[0] >= MIN_SAVED_COPIES:
            roots.append(SharedPrefix(own.start, own.start + best[1], best[2]))
    return tuple(roots)


def remove_shared_prefixes(segments: Sequence[Segment], roots: Sequence[SharedPrefix]) -> tuple[Segment, ...]:
    """The segments, parted where a root ends in them, without the runs that a root stands for."""
    if not roots:
        return tuple(segments)
    parts = []
    ends = {root.start: root.end for root in roots}
    for one in segments:
        seen = [root for root in roots if root.end <= one.start < root.stop]
        runs = tuple(piece for run in one.runs for piece in _ranges_outside(run, seen))
        stop, cut = one.start + one.length, ends.get(one.start, one.start)
        if cut > one.start:
            parts.append(Segment(one.start, cut - one.start, runs))
        if stop > cut:
            parts.append(Segment(cut, stop - cut, runs))
    return tuple(parts)


def _ranges_outside(run: IndexRange, roots: Sequence[SharedPrefix]) -> list[IndexRange]:
    """What is left of a run when the roots in it are taken out; each lies in it whole or not at all."""
    start, left = run[0], []
    for root in roots:
        if start <= root.start and root.end <= run[1]:
            left.append((start, root.start))
            start = root.end
    return [piece for piece in (*left, (start, run[1])) if piece[0] < piece[1]]


def _with_queries(root: SharedPrefix, places: Sequence[int]) -> SharedPrefix:
    chosen = places[bisect_left(places, root.end) : bisect_left(places, root.stop)]
    return replace(root, asked=torch.tensor(chosen, dtype=torch.int64))


def _build_batch(rows: Sequence[Segment], total: int) -> AttentionBatch:
    """The rows side by side, the longest of them first."""
    length, own = _path_length(rows[0]), max(one.length for one in rows)
    places = [_pad_indices([place for start, end in one.path for place in range(start, end)], length) for one in rows]
    if own > MAX_QUERY_SHARE * length:
        counted = [
            [total] * one.depth
            + list(range(one.start, one.start + one.length))
            + [total] * (length - _path_length(one))
            for one in rows
        ]
        whole = torch.tensor(places).view(-1)
        return AttentionBatch(len(rows), length, whole, length, counted=torch.tensor(counted).view(-1))
    asked = [_pad_indices(list(range(one.start, one.start + one.length)), own) for one in rows]
    depths = torch.tensor([one.depth for one in rows])[:, None]
    lengths = torch.tensor([one.length for one in rows])[:, None]
    last = depths + torch.minimum(torch.arange(own), lengths - 1)  # padding sees what the last query sees
    mask = torch.arange(length) <= last[:, None, :, None]
    counted = [list(range(one.start, one.start + one.length)) + [total] * (own - one.length) for one in rows]
    return AttentionBatch(
        len(rows),
        length,
        torch.tensor(places).view(-1),
        own,
        torch.tensor(asked).view(-1),
        mask,
        torch.tensor(counted).view(-1),
    )


def _pad_indices(places: list[int], length: int) -> list[int]:
    return places + places[-1:] * (length - len(places))


def _path_length(segment: Segment) -> int:
    return segment.depth + segment.length


def _group_by_length(longest_first: Sequence[int], segments: Sequence[Segment]) -> list[list[int]]:
    groups: list[list[int]] = []
    for at in longest_first:
        size = _path_length(segments[at])
        if groups:
            length = _path_length(segments[groups[-1][0]])
            fits = (len(groups[-1]) + 1) * length <= MAX_BATCH_SLOTS
            if fits and (length <= TINY_ROW_TOKENS or size >= MIN_LENGTH_RATIO * length):
                groups[-1].append(at)
                continue
        groups.append([at])
    return groups
