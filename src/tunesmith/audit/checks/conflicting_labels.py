"""Conflicting labels: the same question with two answers.

What it finds: rows of one split whose prompts and system turns are equal in normal form, while the completion differs from
that of the first such row.
Why it matters: for a classifier one of the two is wrong; no model can get both right.
Limits: in free conversation two answers can both be good, so this warns. Prompts that are merely alike are not compared.
Reference: Northcutt et al. 2021, Pervasive Label Errors in Test Sets, arXiv:2103.14749.
"""

from dataclasses import dataclass
from typing import ClassVar
from zlib import crc32

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, SPLIT_PHASE
from tunesmith.text.normalize import normalize


@CHECKS.register
@dataclass(frozen=True)
class ConflictingLabels:
    """Each disagreeing row is set against the first row with its prompt."""

    id: ClassVar[str] = "conflicting-labels"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = SPLIT_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        first: dict[tuple[str, str, str], tuple[int, str]] = {}
        findings = []
        table = corpus.table.select(["row", "split", "system", "normal", "completion"])
        table = table.filter(pa.array(_repeated_prompts(table.column("normal"))))
        columns = (column.to_pylist() for column in table.columns)
        for row, split, system, prompt, completion in zip(*columns, strict=True):
            if completion is None or not prompt:
                continue
            other, answer = first.setdefault((split, normalize(system), prompt), (row, completion.strip()))
            if completion.strip() != answer:
                reason = "the same prompt as an earlier row, another completion"
                findings.append(corpus.finding(self, row, reason, other=other))
        return findings


def _repeated_prompts(prompts: pa.ChunkedArray) -> npt.NDArray[numpy.bool_]:
    """Which prompts stand there more than once, and a few others whose checksum is the same."""
    texts = (text for chunk in prompts.chunks for text in chunk.to_pylist())
    sums = numpy.fromiter((crc32(text.encode()) for text in texts), dtype=numpy.uint32, count=len(prompts))
    _, which, counts = numpy.unique(sums, return_inverse=True, return_counts=True)
    again: npt.NDArray[numpy.bool_] = counts[which] > 1
    return again
