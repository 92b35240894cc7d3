"""Verdict: pass, fail or inconclusive, with its evidence."""

from typing import Literal

from tunesmith.artifacts.base import Artifact

Outcome = Literal["pass", "fail", "inconclusive"]


class Verdict(Artifact):
    """The result of one requirement of the policy. `more_examples` would decide an inconclusive one."""

    requirement: str
    outcome: Outcome
    reason: str
    evidence: str = ""
    more_examples: int | None = None
