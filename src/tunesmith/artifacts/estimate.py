"""Estimate: a number with its interval, n and signature; Insufficient: the reason why there is none."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact


class Estimate(Artifact):
    """A value with an interval at `level`, from n examples, by the method that `signature` describes."""

    type: Literal["estimate"] = "estimate"
    metric: str
    value: float
    low: float
    high: float
    n: int
    level: float = 0.95
    unit: str = ""
    signature: str


class Insufficient(Artifact):
    """No estimate, with the reason. It never counts as 0.0 and never passes a gate."""

    type: Literal["insufficient"] = "insufficient"
    metric: str
    reason: str
    n: int = 0
    signature: str = ""


Evidence = Annotated[Estimate | Insufficient, Field(discriminator="type")]


class Comparison(Artifact):
    """The tuned model compared with a reference on the same examples: the paired difference and its power.

    `minimum_detectable` is the smallest true difference that is detected with 80% power at this n; None when it is unknown.
    """

    metric: str
    reference: str
    difference: Evidence
    p_value: float | None = None
    minimum_detectable: float | None = None
    won: int = 0
    lost: int = 0
    tied: int = 0
