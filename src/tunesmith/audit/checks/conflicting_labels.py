"""Conflicting labels: the same prompt with two different answers.

What it finds: rows of one split whose prompts and system turns are equal after normalization but whose completion differs from
that of the first such row.
Why it matters: for a classifier, one of the two labels is wrong; no model can get both right.
Limits: in open conversation both answers can be good, so this check only warns. Similar but unequal prompts are not compared.
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
    """Compares each row with the first row that has the same prompt."""

    id: ClassVar[str] = "conflicting-labels"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = SPLIT_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        first: dict[tuple[str, str, str], tuple[int, str]] = {}
        findings = []
        table = corpus.rows.select(["row", "split", "system", "normal", "completion"])
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
    """Mask of prompts that occur more than once, plus the few whose checksums collide."""
    texts = (text for chunk in prompts.chunks for text in chunk.to_pylist())
    sums = numpy.fromiter((crc32(text.encode()) for text in texts), dtype=numpy.uint32, count=len(prompts))
    _, checksum_of, counts = numpy.unique(sums, return_inverse=True, return_counts=True)
    repeated: npt.NDArray[numpy.bool_] = counts[checksum_of] > 1
    return repeated
