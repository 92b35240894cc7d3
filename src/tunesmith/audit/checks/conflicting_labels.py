"""Conflicting labels: the same question with two answers.

What it finds: rows of one split whose prompts and system turns are equal in normal form, while the completion differs from
that of the first such row.
Why it matters: for a classifier one of the two is wrong; no model can get both right.
Limits: in free conversation two answers can both be good, so this warns. Prompts that are merely alike are not compared.
Reference: Northcutt et al. 2021, Pervasive Label Errors in Test Sets, arXiv:2103.14749.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.check import CHECKS, SPLITS
from tunesmith.audit.corpus import Corpus
from tunesmith.data.normal import normal


@CHECKS.register
@dataclass(frozen=True)
class ConflictingLabels:
    """Each disagreeing row is set against the first row with its prompt."""

    id: ClassVar[str] = "conflicting-labels"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = SPLITS

    def examine(self, corpus: Corpus) -> list[Finding]:
        first: dict[tuple[str, str, str], tuple[int, str]] = {}
        findings = []
        columns = (corpus.table.column(name).to_pylist() for name in ("row", "split", "system", "normal", "completion"))
        for row, split, system, prompt, completion in zip(*columns, strict=True):
            if completion is None or not prompt:
                continue
            other, answer = first.setdefault((split, normal(system), prompt), (row, completion.strip()))
            if completion.strip() != answer:
                reason = "the same prompt as an earlier row, another completion"
                findings.append(corpus.finding(self, row, reason, other=other))
        return findings
