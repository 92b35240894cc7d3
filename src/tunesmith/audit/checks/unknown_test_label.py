"""Unknown test label: a held-out row whose class no training row has.

What it finds: when the task is `classify`, held-out rows whose label stands on no training row that the other checks left; with
`labels: multi` each label by itself, in whatever company. A number to predict (`labels: score`) is no class.
Why it matters: the model cannot answer it, since its answers are the labels of the training rows; the score would be wrong
by construction.
Limits: labels are compared letter by letter; a label that is spelled in two ways shows up here. With several labels a row, a
label that has a comma in it is compared by its parts.
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
    """Looks last, at the training rows that are left."""

    id: ClassVar[str] = "unknown-test-label"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "block"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = FINAL_PHASE

    task: str = "chat"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if self.task != "classify" or self.labels_are == "score":
            return []
        train = corpus.split("train").column("completion").to_pylist()
        known = {label for said in train for label in self._labels(said)}
        test = corpus.split("test")
        return [
            corpus.finding(self, row, f"no training row has the label {self._shown(label)}", severity="error")
            for row, said in zip(test.column("row").to_pylist(), test.column("completion").to_pylist(), strict=True)
            for label in [one for one in self._labels(said) if one not in known][:1]
        ]

    def _labels(self, said: str | None) -> list[str | None]:
        """The labels of a row, of several each by itself; the corpus has them with a comma and a space between."""
        if self.labels_are != "multi":
            return [said]
        return [label for label in (said or "").split(", ") if label]

    def _shown(self, label: str | None) -> str:
        return repr(mask_hits(label or "", (*PERSONAL, *SECRETS))[:60])
