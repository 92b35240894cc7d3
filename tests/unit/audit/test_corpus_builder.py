"""Columns built from rows as read: exact values, equal to those of rows in memory."""

import hashlib

from tunesmith.artifacts import Example, Message, Rights, Row, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.audit.corpus_builder import batch_tables, build_corpus
from tunesmith.data.read_row import StreamedRow, to_streamed_row

CALL = ToolCall(name="f", arguments="{}")
EXAMPLES = [
    Example(messages=(message("system", "Be kind."), message("user", "Hello, You!"), message("assistant", "yo"))),
    Example(messages=(message("user", "a"), message("assistant", "b"), message("user", "c"))),
    Example(messages=(message("assistant", "alone"),)),
    Example(text="A text.", labels=("x", "y")),
    Example(text="plain"),
    Example(messages=(message("user", "u"), Message(role="assistant", content=(Text(text="t"),), tool_calls=(CALL,)))),
    Example(messages=(message("system", "one"), message("system", "two"))),
]
RIGHTS = [Rights(license="MIT", source="a"), Rights(source="b", subject="0" * 32)]


def rows(*, same: bool) -> list[Row]:
    return [
        Row(row_id=f"{n:x}", file="a.jsonl", line=n + 1, example=example, rights=RIGHTS[0 if same else n % 2])
        for n, example in enumerate(EXAMPLES)
    ]


def lines(found: list[Row]) -> list[StreamedRow]:
    return [to_streamed_row(row) for row in found]


def test_each_column() -> None:
    table, parts = batch_tables(lines(rows(same=True)), "test", row=10, part=30)
    found = table.to_pydict()
    assert found["row"] == list(range(10, 17)) and found["line"] == list(range(1, 8))
    assert found["system"] == ["Be kind.", "", "", "", "", "", "one\ntwo"]
    assert found["prompt"] == ["Hello, You!", "a\nb\nc", "", "A text.", "plain", "u", ""]
    assert found["completion"] == ["yo", "", "alone", "x, y", None, 't\n{"name": "f", "arguments": {}}', ""]
    assert found["label"] == [None, None, None, "x", None, None, None]
    assert found["systems"] == [1, 0, 0, 0, 0, 0, 0]
    assert found["plain"][0] == "hello you"
    assert found["digest"] == [hashlib.sha256(example.canonical()).hexdigest() for example in EXAMPLES]
    assert set(found["split"]) == {"test"} and set(found["license"]) == {"MIT"} and set(found["author"]) == {None}
    said = parts.to_pydict()
    assert said["part"] == list(range(30, 43))
    assert said["row"] == [10] * 3 + [11] * 3 + [12, 13, 14] + [15] * 2 + [16] * 2
    assert said["message"] == [0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 1, 0, 1]
    assert said["role"][6:9] == ["assistant", None, None] and said["text"][7:9] == ["A text.", "plain"]


def test_streamed_rows_and_rows_in_memory_give_equal_columns() -> None:
    for same in (True, False):
        found = rows(same=same)
        table, parts = batch_tables(lines(found), "train", row=0, part=0)
        corpus = build_corpus(found, [])
        assert parts.equals(corpus.messages)
        columns = [name for name in table.column_names if name != "plain"]
        assert table.select(columns).equals(corpus.rows.select(columns))
        assert table.column("plain").to_pylist() == corpus.rows.column("normal").to_pylist()
