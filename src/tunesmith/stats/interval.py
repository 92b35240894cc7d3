"""Interval: an estimate with its confidence limits; NoInterval: why none can be given."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """`low <= value <= high` up to rounding, at confidence `level`, from `n` examples.

    `standard_error` is that of the value; 0.0 where the sample shows no spread. `method` names the kind of interval.
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
    """The sample cannot carry an interval; `reason` is one clause for a person."""

    reason: str
    n: int
