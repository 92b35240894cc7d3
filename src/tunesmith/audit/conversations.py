"""Conversations: which roles the rows of a corpus have, in which order, with which calls, tools and weights."""

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
"""Odd, so that no power of it is 0."""

LABELLED_TEXT_ROLES: Final[tuple[Role, ...]] = ("user", "assistant")
"""How a text with an answer is put to a model."""


PLACEHOLDER_CALL: Final = ToolCall(name="look", arguments="{}", id="call00001")
PLACEHOLDER_TOOL: Final = (
    '{"function":{"name":"look","parameters":{"properties":{},"type":"object"}},"type":"function"}'
)
"""Stand for the calls and tools of a row where a template is tried."""

MAX_JSON_COPIES: Final = 2
"""How often a template is taken to write tools and calls at most, each time as long as their indented JSON."""


@dataclass(frozen=True)
class ConversationShape:
    """Rows whose messages have the same roles, and the same of them calls and weights; all have tools, or none has.

    `rows` are their numbers; `texts`: they are texts and no conversations. `shape` is a conversation of the kind, whose
    words, calls and tools stand for any.
    """

    roles: tuple[Role, ...]
    rows: Numbers
    texts: bool
    shape: Example

    @property
    def tooled(self) -> bool:
        """Whether the rows have tools or calls; each may fail by its own."""
        return bool(self.shape.tools) or any(turn.tool_calls for turn in self.shape.messages)


def conversation_shapes(corpus: AuditTable) -> list[ConversationShape]:
    """The kinds of a corpus, in order of their first rows."""
    parts = corpus.parts
    if not parts.num_rows:
        return []
    rows = np.asarray(parts.column("row"))
    first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 1))
    codes = parts.column("role").combine_chunks().dictionary_encode()
    numbers = (
        np.asarray(compute.fill_null(codes.indices, -1)).astype(np.int64) + 2 + _message_marks(corpus, rows, first)
    )
    messages = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(int(messages.max()) + 1, HASH_FACTOR))
        keys = np.add.reduceat(numbers.astype(np.uint64) * powers[messages], first)
    _, at, which = np.unique(keys, return_index=True, return_inverse=True)
    made = []
    for number in np.argsort(at).tolist():
        row = int(rows[first[at[number]]])
        example = row_example(corpus, row)
        texts = parts.column("role")[int(first[at[number]])].as_py() is None
        roles = tuple(turn.role for turn in example.messages)
        made.append(ConversationShape(roles, rows[first[which == number]], texts, _placeholder_example(example)))
    return made


def row_example(corpus: AuditTable, row: int) -> Example:
    """A row as a conversation, with its tools, calls and weights; a text is asked, and its completion answers."""
    whole = corpus.signals.table.column("whole")[row].as_py()
    example = None if whole is None else Example.from_bytes(whole.encode())
    if example is not None and example.messages:
        return example
    start, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    parts = corpus.signals.parts.slice(start, after - start)
    roles, texts = parts.column("role").to_pylist(), parts.column("text").to_pylist()
    if None in roles:
        completion = corpus.signals.table.column("completion")[row].as_py() or ""
        return Example(messages=(message("user", texts[0]), message("assistant", completion)))
    return Example(messages=tuple(message(role, text) for role, text in zip(roles, texts, strict=True)))


def _structured_examples(corpus: AuditTable) -> Iterator[tuple[int, Any]]:
    """(row, its example as JSON) of the conversations that have more than words."""
    table = corpus.table.select(["row", "whole"])
    some = table.filter(compute.is_valid(table.column("whole")))
    for row, text in zip(some.column("row").to_pylist(), some.column("whole").to_pylist(), strict=True):
        example = json.loads(text)
        if example["messages"]:
            yield row, example


def _message_marks(corpus: AuditTable, rows: Numbers, first: Numbers) -> Numbers:
    """By part a multiple of 8: whether it calls, whether it has a weight and whether that is 0; on first parts, whether the
    row has tools."""
    made = np.zeros(len(rows), dtype=np.int64)
    firsts = rows[first]
    for row, example in _structured_examples(corpus):
        start = int(first[np.searchsorted(firsts, row)])
        made[start] += 64 if example.get("tools") else 0
        for at, turn in enumerate(example["messages"], start):
            weight = turn.get("weight")
            made[at] += 8 * (0 if weight is None else 1 if weight else 2) + (32 if turn.get("tool_calls") else 0)
    return made


def _placeholder_example(example: Example) -> Example:
    turns = [
        turn.model_copy(
            update={
                "content": (Text(text=f"word {at}"),),
                "tool_calls": (PLACEHOLDER_CALL,) if turn.tool_calls else None,
            }
        )
        for at, turn in enumerate(example.messages)
    ]
    return Example(messages=tuple(turns), tools=(PLACEHOLDER_TOOL,) if example.tools else None)


def row_sizes(corpus: AuditTable) -> tuple[Numbers, Numbers]:
    """(bytes of ASCII, other bytes) of each row by its number, completions of texts too; rows that are not there have 0.

    Tools and calls are counted as so many bytes of ASCII as they can take.
    """
    total = corpus.signals.table.num_rows
    plain, beyond = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    texts = compute.and_(compute.is_valid(corpus.table.column("completion")), _plain_text_rows(corpus))
    labels = corpus.table.filter(texts)
    for column, rows in ((corpus.parts.column("text"), corpus.parts), (labels.column("completion"), labels)):
        size = np.asarray(compute.binary_length(column)).astype(np.int64)
        # A character beyond ASCII has two to four bytes: with d bytes more than characters there are at most 2d of them.
        more = size - np.asarray(compute.utf8_length(column)).astype(np.int64)
        other = np.minimum(size, 2 * more)
        places = np.asarray(rows.column("row"))
        np.add.at(plain, places, size - other)
        np.add.at(beyond, places, other)
    _add_tool_sizes(corpus, plain)
    return plain, beyond


def _add_tool_sizes(corpus: AuditTable, plain: Numbers) -> None:
    """Calls and tools by what they take as indented JSON in ASCII, which is longer than how templates write them."""
    for row, example in _structured_examples(corpus):
        calls = [call for turn in example["messages"] for call in turn.get("tool_calls") or ()]
        names = sum(len(json.dumps(value)) for turn in example["messages"] for value in _other_fields(turn))
        held = [*(example.get("tools") or ()), *(call["arguments"] for call in calls)]
        plain[row] += MAX_JSON_COPIES * (names + sum(map(_indented_length, held)))


def _other_fields(turn: dict[str, Any]) -> Iterator[Any]:
    return (value for key, value in turn.items() if key not in ("content", "role"))


@lru_cache(maxsize=4096)
def _indented_length(text: str) -> int:
    """Characters of JSON in ASCII with each element on a line of its own; most rows of a file have the same tools."""
    return len(json.dumps(json.loads(text), indent=4))


def _plain_text_rows(corpus: AuditTable) -> pa.ChunkedArray:
    """Which lines of the table have a text and no conversation."""
    texts = corpus.parts.filter(compute.is_null(corpus.parts.column("role"))).column("row")
    return compute.is_in(corpus.table.column("row"), value_set=texts.combine_chunks())
