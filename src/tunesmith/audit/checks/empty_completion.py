"""Empty completion: a row with a prompt and no answer to learn.

What it finds: rows whose last assistant turn, completion or label is missing, empty, or only spaces and hidden characters; and
text rows without text. A row of plain text needs no completion, and with `labels: multi` an empty label set is a valid answer.
Why it matters: the model would learn to say nothing, or the loss would have no tokens.
Limits: "n/a" and "TODO" count as text and pass.
Reference: none needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pyarrow import compute

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE


def _is_blank(text: str) -> bool:
    return not any(character.isprintable() and not character.isspace() for character in text)


@CHECKS.register
@dataclass(frozen=True)
class EmptyCompletion:
    """Includes held-out rows, since a row without an answer cannot be scored."""

    id: ClassVar[str] = "empty-completion"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        table = corpus.rows.select(["row", "prompt", "completion"])
        answers = compute.coalesce(table.column("completion"), table.column("prompt"))
        table = table.filter(compute.invert(compute.match_substring_regex(answers, "[0-9A-Za-z]")))
        for batch in table.to_batches():
            for row, prompt, completion in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if completion is None and _is_blank(prompt):
                    yield corpus.finding(self, row, "the text is empty")
                elif completion is not None and _is_blank(completion) and self.labels_are != "multi":
                    yield corpus.finding(self, row, "there is no completion to learn")
