"""Conversation shapes: the distinct orders of roles, tool calls and weights among the rows of a corpus."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Example, Role, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.audit.audit_table import AuditTable

Numbers = npt.NDArray[np.int64]

HASH_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that none of its powers is 0 modulo 2**64."""

LABELLED_TEXT_ROLES: Final[tuple[Role, ...]] = ("user", "assistant")
"""Roles under which a labelled text is presented to a model."""


PLACEHOLDER_CALL: Final = ToolCall(name="look", arguments="{}", id="call00001")
PLACEHOLDER_TOOL: Final = (
    '{"function":{"name":"look","parameters":{"properties":{},"type":"object"}},"type":"function"}'
)
"""Placeholders for a row's tool calls and tools when a chat template is tried."""

MAX_JSON_COPIES: Final = 2
"""Assumed maximum number of times a template writes tools and calls, each time at the length of their indented JSON."""


@dataclass(frozen=True)
class ConversationShape:
    """Rows whose messages have the same roles, tool calls and weights in the same order; either all have tools or none.

    `rows` are row numbers. `texts` is True for rows of plain text. `shape` is a representative conversation with placeholder
    words, calls and tools.
    """

    roles: tuple[Role, ...]
    rows: Numbers
    texts: bool
    shape: Example

    @property
    def has_tools(self) -> bool:
        """Whether the rows have tools or tool calls, whose contents can make any single row fail."""
        return bool(self.shape.tools) or any(message.tool_calls for message in self.shape.messages)


def conversation_shapes(corpus: AuditTable) -> list[ConversationShape]:
    """The conversation shapes of a corpus, ordered by their first rows."""
    messages = corpus.messages
    if not messages.num_rows:
        return []
    rows = np.asarray(messages.column("row"))
    first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 1))
    role_codes = messages.column("role").combine_chunks().dictionary_encode()
    message_codes = (
        np.asarray(compute.fill_null(role_codes.indices, -1)).astype(np.int64) + 2 + _message_marks(corpus, rows, first)
    )
    position = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(int(position.max()) + 1, HASH_FACTOR))
        keys = np.add.reduceat(message_codes.astype(np.uint64) * powers[position], first)
    _, first_index, shape_of = np.unique(keys, return_index=True, return_inverse=True)
    shapes = []
    for number in np.argsort(first_index).tolist():
        row = int(rows[first[first_index[number]]])
        example = row_example(corpus, row)
        texts = messages.column("role")[int(first[first_index[number]])].as_py() is None
        roles = tuple(message.role for message in example.messages)
        shapes.append(ConversationShape(roles, rows[first[shape_of == number]], texts, _placeholder_example(example)))
    return shapes


def row_example(corpus: AuditTable, row: int) -> Example:
    """A row as a conversation with its tools, calls and weights; a text becomes a user turn and its completion the answer."""
    canonical = corpus.signals.rows.column("whole")[row].as_py()
    example = None if canonical is None else Example.from_bytes(canonical.encode())
    if example is not None and example.messages:
        return example
    start, end = corpus.signals.message_range(row)
    messages = corpus.signals.messages.slice(start, end - start)
    roles, texts = messages.column("role").to_pylist(), messages.column("text").to_pylist()
    if None in roles:
        completion = corpus.signals.rows.column("completion")[row].as_py() or ""
        return Example(messages=(message("user", texts[0]), message("assistant", completion)))
    return Example(messages=tuple(message(role, text) for role, text in zip(roles, texts, strict=True)))


def _structured_examples(corpus: AuditTable) -> Iterator[tuple[int, Any]]:
    """(row, example as parsed JSON) of the conversations with tools, calls, weights or names."""
    table = corpus.rows.select(["row", "whole"])
    structured = table.filter(compute.is_valid(table.column("whole")))
    for row, text in zip(structured.column("row").to_pylist(), structured.column("whole").to_pylist(), strict=True):
        example = json.loads(text)
        if example["messages"]:
            yield row, example


def _message_marks(corpus: AuditTable, rows: Numbers, first: Numbers) -> Numbers:
    """Flags of each message as a multiple of 8: tool calls (32), weight (8, or 16 when it is 0), and on a row's first message
    whether the row has tools (64)."""
    marks = np.zeros(len(rows), dtype=np.int64)
    firsts = rows[first]
    for row, example in _structured_examples(corpus):
        start = int(first[np.searchsorted(firsts, row)])
        marks[start] += 64 if example.get("tools") else 0
        for number, entry in enumerate(example["messages"], start):
            weight = entry.get("weight")
            marks[number] += 8 * (0 if weight is None else 1 if weight else 2) + (32 if entry.get("tool_calls") else 0)
    return marks


def _placeholder_example(example: Example) -> Example:
    messages = [
        message.model_copy(
            update={
                "content": (Text(text=f"word {number}"),),
                "tool_calls": (PLACEHOLDER_CALL,) if message.tool_calls else None,
            }
        )
        for number, message in enumerate(example.messages)
    ]
    return Example(messages=tuple(messages), tools=(PLACEHOLDER_TOOL,) if example.tools else None)


def row_sizes(corpus: AuditTable) -> tuple[Numbers, Numbers]:
    """(ASCII bytes, other bytes) by row number, including completions of texts; 0 for rows that are not in `corpus`.

    Tools and calls count as the maximum number of ASCII bytes they can take.
    """
    total = corpus.signals.rows.num_rows
    ascii_bytes, other_bytes = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    texts = compute.and_(compute.is_valid(corpus.rows.column("completion")), _plain_text_rows(corpus))
    labels = corpus.rows.filter(texts)
    for column, rows in ((corpus.messages.column("text"), corpus.messages), (labels.column("completion"), labels)):
        byte_counts = np.asarray(compute.binary_length(column)).astype(np.int64)
        # A character beyond ASCII has two to four bytes: with d bytes more than characters there are at most 2d of them.
        extra_bytes = byte_counts - np.asarray(compute.utf8_length(column)).astype(np.int64)
        other = np.minimum(byte_counts, 2 * extra_bytes)
        row_numbers = np.asarray(rows.column("row"))
        np.add.at(ascii_bytes, row_numbers, byte_counts - other)
        np.add.at(other_bytes, row_numbers, other)
    _add_tool_sizes(corpus, ascii_bytes)
    return ascii_bytes, other_bytes


def _add_tool_sizes(corpus: AuditTable, ascii_bytes: Numbers) -> None:
    """Add calls and tools at the length of their indented ASCII JSON, an upper bound on what templates write."""
    for row, example in _structured_examples(corpus):
        calls = [call for message in example["messages"] for call in message.get("tool_calls") or ()]
        names = sum(len(json.dumps(value)) for message in example["messages"] for value in _other_fields(message))
        json_texts = [*(example.get("tools") or ()), *(call["arguments"] for call in calls)]
        ascii_bytes[row] += MAX_JSON_COPIES * (names + sum(map(_indented_length, json_texts)))


def _other_fields(message: dict[str, Any]) -> Iterator[Any]:
    return (value for key, value in message.items() if key not in ("content", "role"))


@lru_cache(maxsize=4096)
def _indented_length(text: str) -> int:
    """Length of the JSON in ASCII, indented. Cached, since most rows of a file have the same tools."""
    return len(json.dumps(json.loads(text), indent=4))


def _plain_text_rows(corpus: AuditTable) -> pa.ChunkedArray:
    """Mask of the rows that are plain text, not conversations."""
    texts = corpus.messages.filter(compute.is_null(corpus.messages.column("role"))).column("row")
    return compute.is_in(corpus.rows.column("row"), value_set=texts.combine_chunks())
