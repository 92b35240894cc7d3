"""Lengths: whole numbers at a glance."""

from tunesmith.artifacts.base import Artifact


class Bin(Artifact):
    """How many values lie in [low, high], both included."""

    low: int
    high: int
    count: int


class Lengths(Artifact):
    """Whole numbers at a glance. `median` and `p95` are values that occur (nearest rank, the lower one of two)."""

    least: int
    median: int
    p95: int
    most: int
    bins: tuple[Bin, ...] = ()
