"""Interval: an estimate with its confidence limits; NoInterval: the reason why there is none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """`low <= value <= high` up to rounding, at confidence `level`, from `n` examples.

    `standard_error` is that of the value, 0.0 where the sample has no spread. `method` names the kind of interval.
    """

    value: float
    low: float
    high: float
    n: int
    level: float
    standard_error: float
    method: str


@dataclass(frozen=True)
class NoInterval:
    """The sample does not allow an interval; `reason` is one clause for a reader."""

    reason: str
    n: int
