"""Over-long: a row that does not fit into the context.

What it finds: conversations with more tokens than the base has positions, or than `train.max_tokens` allows, including the
chat template's own tokens, tools, tool calls and the task's instruction. Each finding says how many tokens exceed the limit,
and how many of those would have been trained.
Why it matters: training rejects such a row; tools that truncate it instead teach answers without an end, or no answer at all.
Limits: it needs the tokenizer of the recipe's base. Without a base, or for a base from scratch whose tokenizer is not trained
yet, it finds nothing. Plain texts are split into windows and lose nothing. Text that a template adds only for particular
contents is not counted. Only rows with enough bytes are tokenized: a token covers at least one byte, and tools and calls are
assumed to be written at most twice, each at the length of their indented JSON.
Reference: none needed; the tokens are those used in training.
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
    """One finding per row. `reader` tokenizes rows as the recipe's base does."""

    id: ClassVar[str] = "over-long"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    reader: ReaderField = None

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if self.reader is None:
            return []
        return [
            finding
            for row in self._suspects(corpus, self.reader)
            for finding in self._findings(corpus, row, self.reader)
        ]

    def _suspects(self, corpus: AuditTable, reader: Reader) -> list[int]:
        """Row numbers that may be too long by their size in bytes, in order."""
        ascii_bytes, non_ascii = row_sizes(corpus)
        suspects: list[Numbers] = []
        for shape in conversation_shapes(corpus):
            bound = _token_bound(reader, shape)
            if bound is None or (shape.texts and reader.cuts_texts):
                continue
            sizes = ascii_bytes[shape.rows] + bound.beyond * non_ascii[shape.rows]
            suspects.append(shape.rows[bound.added + bound.times * sizes > reader.window])
        rows: list[int] = np.sort(np.concatenate(suspects)).tolist() if suspects else []
        return rows

    def _findings(self, corpus: AuditTable, row: int, reader: Reader) -> Iterator[Finding]:
        reading = reader.read(row_example(corpus, row))
        if reading.tokens > reader.window:
            tokens = f"{reading.tokens} tokens, {reading.lost} behind the {reader.window} that {reader.name} is given"
            lost = f"{reading.lost_trained} of its {reading.trained} trained tokens would be lost"
            yield corpus.finding(self, row, f"{tokens}; {lost}", severity="error")


def _token_bound(reader: Reader, kind: ConversationShape) -> TokenBound | None:
    """Token bound of a shape; None if the template rejects its roles, which the chat-template check reports."""
    try:
        return reader.bound(kind.shape)
    except DataError:
        return None
