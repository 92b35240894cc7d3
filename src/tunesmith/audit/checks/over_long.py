"""Over-long: a row that does not fit into the context.

What it finds: conversations of more tokens than the base has positions, or than `train.max_tokens` allows, with the chat
template's own tokens, tools, tool calls and the task's instruction counted. Each finding says how many tokens lie behind the
end, and how many of them would have been trained.
Why it matters: training refuses such a row; tools that cut it off instead teach answers without an end, or no answer at all.
Limits: it needs the recipe's base, for its tokenizer; without one, and for a base from nothing, whose tokenizer is yet to be
trained, it finds nothing. Plain texts are cut into windows and lose nothing. What a template writes for some texts alone is
not counted. Only rows with enough bytes are read as tokens: no token stands for less than one byte; tools and calls are taken
to be written at most twice, each time as long as their indented JSON.
Reference: none needed; the tokens are those that training sees.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.audit.conversations import ConversationShape, Numbers, conversation_shapes, row_example, row_sizes
from tunesmith.errors import DataError
from tunesmith.models.reader_protocol import Reader, ReaderField, TokenBound


@CHECKS.register
@dataclass(frozen=True)
class OverLong:
    """One finding a row. `reader` is the recipe's base."""

    id: ClassVar[str] = "over-long"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    reader: ReaderField = None

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if self.reader is None:
            return []
        return [found for row in self._suspects(corpus, self.reader) for found in self._found(corpus, row, self.reader)]

    def _suspects(self, corpus: AuditTable, reader: Reader) -> list[int]:
        """Rows that may be too long, in order."""
        plain, beyond = row_sizes(corpus)
        found: list[Numbers] = []
        for kind in conversation_shapes(corpus):
            bound = _token_bound(reader, kind)
            if bound is None or (kind.texts and reader.cuts_texts):
                continue
            sizes = plain[kind.rows] + bound.beyond * beyond[kind.rows]
            found.append(kind.rows[bound.added + bound.times * sizes > reader.window])
        rows: list[int] = np.sort(np.concatenate(found)).tolist() if found else []
        return rows

    def _found(self, corpus: AuditTable, row: int, reader: Reader) -> Iterator[Finding]:
        reading = reader.read(row_example(corpus, row))
        if reading.tokens > reader.window:
            told = f"{reading.tokens} tokens, {reading.lost} behind the {reader.window} that {reader.name} is given"
            lost = f"{reading.lost_trained} of its {reading.trained} trained tokens would be lost"
            yield corpus.finding(self, row, f"{told}; {lost}", severity="error")


def _token_bound(reader: Reader, kind: ConversationShape) -> TokenBound | None:
    """None where the template refuses the roles, which the check of the chat template reports."""
    try:
        return reader.bound(kind.shape)
    except DataError:
        return None
