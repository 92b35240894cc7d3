"""Unknown test label: a held-out row whose class no training row has.

What it finds: when the task is `classify`, held-out rows whose label stands on no training row that the other checks left.
Why it matters: the model cannot answer it, since its answers are the labels of the training rows; the score would be wrong
by construction.
Limits: labels are compared letter by letter; a label that is spelled in two ways shows up here.
Reference: none needed.
"""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.check import CHECKS, LAST
from tunesmith.audit.corpus import Corpus
from tunesmith.data.patterns import PERSONAL, SECRETS, mask


@CHECKS.register
@dataclass(frozen=True)
class UnknownTestLabel:
    """Looks last, at the training rows that are left."""

    id: ClassVar[str] = "unknown-test-label"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "block"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = LAST

    task: str = "chat"

    def examine(self, corpus: Corpus) -> list[Finding]:
        if self.task != "classify":
            return []
        known = set(corpus.split("train").column("completion").to_pylist())
        test = corpus.split("test")
        return [
            corpus.finding(self, row, f"no training row has the label {self._shown(label)}", severity="error")
            for row, label in zip(test.column("row").to_pylist(), test.column("completion").to_pylist(), strict=True)
            if label not in known
        ]

    def _shown(self, label: str | None) -> str:
        return repr(mask(label or "", (*PERSONAL, *SECRETS))[:60])
