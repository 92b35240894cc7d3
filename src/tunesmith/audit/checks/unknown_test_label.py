"""Unknown test label: a held-out row whose class has no training row.

What it finds: when the task is `classify`, held-out rows whose label is on no remaining training row. With `labels: multi` each
label is checked separately. Numeric targets (`labels: score`) have no classes and are skipped.
Why it matters: the model can only answer with labels of the training rows, so such a row is scored wrong by construction.
Limits: labels are compared exactly; a label spelled in two ways is reported. With several labels per row, a label that
contains a comma is compared part by part.
Reference: none needed.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.detect.patterns import PERSONAL, SECRETS, mask_hits


@CHECKS.register
@dataclass(frozen=True)
class UnknownTestLabel:
    """Runs in the final phase, on the remaining training rows."""

    id: ClassVar[str] = "unknown-test-label"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "block"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if self.task != "classify" or self.labels_are == "score":
            return []
        train = corpus.split("train").column("completion").to_pylist()
        known_labels = {label for completion in train for label in self._labels(completion)}
        test = corpus.split("test")
        return [
            corpus.finding(self, row, f"no training row has the label {self._quoted(label)}", severity="error")
            for row, completion in zip(
                test.column("row").to_pylist(), test.column("completion").to_pylist(), strict=True
            )
            for label in [candidate for candidate in self._labels(completion) if candidate not in known_labels][:1]
        ]

    def _labels(self, completion: str | None) -> list[str | None]:
        """The labels of a row, split at ", " when there are several."""
        if self.labels_are != "multi":
            return [completion]
        return [label for label in (completion or "").split(", ") if label]

    def _quoted(self, label: str | None) -> str:
        return repr(mask_hits(label or "", (*PERSONAL, *SECRETS))[:60])
