"""Short rows of a pass side by side, so that attention is called once for many of them.

A call costs about as much as the attention of a hundred tokens. Rows are padded at their end to the longest of the stack:
under causal attention no token sees what comes after it, so no mask is needed, and what the padding gives is left behind.
A row behind a shared prefix takes the prefix's queries along, for the same reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import process
from tunesmith.models.packed.layout import Segment

process.prepare()

import torch  # noqa: E402

LONGEST = 256
"""A longer row is worth a call of its own."""

SLOTS = 8192
"""Tokens of a stack, padding included, at most."""

FILLED = 0.7
"""The shortest row of a stack has at least this share of the longest, unless both are under `TINY` tokens."""

TINY = 32

SHORT = 128
"""So short a row is stacked even where most of it is a shared prefix."""


@dataclass(frozen=True)
class Stack:
    """`rows` rows of `length` slots. `places` [rows * length] int64: the flat place of each slot; padding repeats the last."""

    rows: int
    length: int
    places: torch.Tensor


@dataclass(frozen=True)
class Arrangement:
    """How a pass is attended: stacks first, then the segments that go alone (`alone`, by number).

    `order` [T] int64: where each flat place stands when the slots of all stacks and the tokens of the lone segments are laid
    end to end.
    """

    stacks: tuple[Stack, ...]
    alone: tuple[int, ...]
    order: torch.Tensor

    @property
    def longest(self) -> int:
        """Slots of the longest stacked row."""
        return max((stack.length for stack in self.stacks), default=0)


def arrange(segments: Sequence[Segment]) -> Arrangement:
    """Stack what is short. A segment behind a long prefix goes alone: its prefix's queries would cost more than a call."""
    short = [at for at, one in enumerate(segments) if _size(one) <= SHORT or one.depth <= one.length <= LONGEST]
    groups = [
        group for group in _groups(sorted(short, key=lambda at: -_size(segments[at])), segments) if len(group) > 1
    ]
    stacked = {at for group in groups for at in group}
    alone = tuple(at for at in range(len(segments)) if at not in stacked)
    order = [0] * sum(one.length for one in segments)
    stacks, offset = [], 0
    for group in groups:
        length = _size(segments[group[0]])
        places: list[int] = []
        for row, at in enumerate(group):
            own = [place for start, end in segments[at].path for place in range(start, end)]
            places += own + own[-1:] * (length - len(own))
            for step in range(segments[at].length):
                order[segments[at].start + step] = offset + row * length + segments[at].depth + step
        stacks.append(Stack(len(group), length, torch.tensor(places)))
        offset += len(group) * length
    for at in alone:
        one = segments[at]
        order[one.start : one.start + one.length] = range(offset, offset + one.length)
        offset += one.length
    return Arrangement(tuple(stacks), alone, torch.tensor(order))


def _size(segment: Segment) -> int:
    return segment.depth + segment.length


def _groups(longest_first: Sequence[int], segments: Sequence[Segment]) -> list[list[int]]:
    groups: list[list[int]] = []
    for at in longest_first:
        size = _size(segments[at])
        if groups:
            length = _size(segments[groups[-1][0]])
            fits = (len(groups[-1]) + 1) * length <= SLOTS
            if fits and (length <= TINY or size >= FILLED * length):
                groups[-1].append(at)
                continue
        groups.append([at])
    return groups
