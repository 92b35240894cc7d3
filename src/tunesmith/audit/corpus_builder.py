"""Lines in columns: rows as they were read, a batch of them, in the columns that checks see."""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy
import pyarrow as pa

from tunesmith.artifacts import Rights
from tunesmith.data.format import PlainMessages
from tunesmith.data.read_row import StreamedRow
from tunesmith.text.normalize import normalize

TEXT_COLUMNS: Final = (
    "row_id",
    "split",
    "file",
    "system",
    "prompt",
    "completion",
    "label",
    "plain",
    "digest",
    "whole",
    *Rights.model_fields,
)
STRUCTURE_KEYS: Final = ('"tools":', '"tool_calls":', '"tool_call_id":', '"weight":', '"name":')
NUMBER_COLUMNS: Final = ("row", "line", "systems")
ROW_SCHEMA: Final = pa.schema(
    [*((name, pa.int64()) for name in NUMBER_COLUMNS), *((name, pa.string()) for name in TEXT_COLUMNS)]
)
MESSAGE_SCHEMA: Final = pa.schema(
    [("part", pa.int64()), ("row", pa.int64()), ("message", pa.int64()), ("text", pa.string()), ("role", pa.string())]
)


def structured_example(example: str) -> str | None:
    """An example's canonical text when it has tools, calls, weights or names, which PARTS has not; None for most.

    No word of a message looks like these keys: a quotation mark in it is written with a backslash.
    """
    return example if any(key in example for key in STRUCTURE_KEYS) else None


def batch_tables(lines: Sequence[StreamedRow], split: str, *, row: int, part: int) -> tuple[pa.Table, pa.Table]:
    """The rows in the columns of TABLE and their messages in those of PARTS, numbered from `row` and `part`."""
    ids, files, places, turns, texts, labels, completions, examples, rights = zip(*lines, strict=True)
    asked = [_system_and_prompt(said, text) for said, text in zip(turns, texts, strict=True)]
    prompts = [prompt for _, prompt in asked]
    columns: dict[str, object] = {
        "row": numpy.arange(row, row + len(lines)),
        "line": places,
        "systems": [_leading_system_turns(said) for said in turns],
        "row_id": ids,
        "split": pa.repeat(split, len(lines)),
        "file": files,
        "system": [system for system, _ in asked],
        "prompt": prompts,
        "completion": completions,
        "label": labels,
        "plain": [normalize(prompt) for prompt in prompts],
        "digest": [hashlib.sha256(example.encode()).hexdigest() for example in examples],
        "whole": [structured_example(example) for example in examples],
        **_rights_columns(rights),
    }
    return _typed_table(columns, ROW_SCHEMA), _message_table(turns, texts, row=row, part=part)


def _rights_columns(rights: Sequence[Rights]) -> dict[str, object]:
    same = all(one is rights[0] for one in rights)
    return {
        key: pa.repeat(pa.scalar(getattr(rights[0], key), pa.string()), len(rights))
        if same
        else [getattr(one, key) for one in rights]
        for key in Rights.model_fields
    }


def _message_table(turns: Sequence[PlainMessages], texts: Sequence[str | None], *, row: int, part: int) -> pa.Table:
    """One line a message; a row that is a text has one, without a role."""
    said: list[Sequence[tuple[str, str | None]]] = [
        spoken or [(text or "", None)] for spoken, text in zip(turns, texts, strict=True)
    ]
    counts = [len(one) for one in said]
    parts = sum(counts)
    firsts = numpy.repeat(numpy.cumsum([0, *counts[:-1]]), counts)
    columns: dict[str, object] = {
        "part": numpy.arange(part, part + parts),
        "row": numpy.repeat(numpy.arange(row, row + len(said)), counts),
        "message": numpy.arange(parts) - firsts,
        "text": [text for one in said for text, _ in one],
        "role": [role for one in said for _, role in one],
    }
    return _typed_table(columns, MESSAGE_SCHEMA)


def _typed_table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array(columns[name], type=kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def _system_and_prompt(said: PlainMessages, text: str | None) -> tuple[str, str]:
    """(system turns, the rest of the prompt): what comes before the last turn of the assistant."""
    if not said:
        return "", text or ""
    asked = said[:-1] if said[-1][1] == "assistant" else said
    if len(asked) == 1 and asked[0][1] != "system":
        return "", asked[0][0]
    system = "\n".join([text for text, role in asked if role == "system"])
    return system, "\n".join([text for text, role in asked if role != "system"])


def _leading_system_turns(said: PlainMessages) -> int:
    """How many system turns come first; the message after them is the one to show."""
    return next((number for number, (_, role) in enumerate(said) if role != "system"), 0)
