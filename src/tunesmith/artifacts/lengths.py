"""Lengths: a summary of integers."""

from tunesmith.artifacts.base import Artifact


class Bin(Artifact):
    """Number of values in [low, high], both inclusive."""

    low: int
    high: int
    count: int


class Lengths(Artifact):
    """Summary of integers. `median` and `p95` are values that occur (nearest rank, the lower of two)."""

    least: int
    median: int
    p95: int
    most: int
    bins: tuple[Bin, ...] = ()
