"""Verdict: pass, fail or inconclusive; nothing else, and never without the evidence it rests on."""

from typing import Literal

from tunesmith.artifacts.base import Artifact

Outcome = Literal["pass", "fail", "inconclusive"]


class Verdict(Artifact):
    """What one requirement of the policy came to. `more_examples` says how many more would settle an inconclusive one."""

    requirement: str
    outcome: Outcome
    reason: str
    evidence: str = ""
    more_examples: int | None = None
