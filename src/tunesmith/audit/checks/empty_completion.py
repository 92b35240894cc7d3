"""Empty completion: a row that asks something and has no answer to learn.

What it finds: rows whose last assistant turn, completion or label is missing, empty or nothing but spaces and hidden
characters; and text rows without text. A row of plain text needs no completion, and with
`labels: multi` no label is an answer too.
Why it matters: the model would learn to say nothing, or the loss would have no token to count.
Limits: "n/a" and "TODO" are words like any other and pass.
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
    """Held-out rows too: what has no answer cannot be scored."""

    id: ClassVar[str] = "empty-completion"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> Iterator[Finding]:
        table = corpus.table.select(["row", "prompt", "completion"])
        said = compute.coalesce(table.column("completion"), table.column("prompt"))
        table = table.filter(compute.invert(compute.match_substring_regex(said, "[0-9A-Za-z]")))
        for batch in table.to_batches():
            for row, prompt, completion in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if completion is None and _is_blank(prompt):
                    yield corpus.finding(self, row, "the text is empty")
                elif completion is not None and _is_blank(completion) and self.labels_are != "multi":
                    yield corpus.finding(self, row, "there is no completion to learn")
