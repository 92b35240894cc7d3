"""The fast path without an object per message gives the same rows as reading Examples, and is left where it does not apply."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.artifacts import Example, Rights, Row, message
from tunesmith.data.examples import ExampleReader
from tunesmith.data.format import InvalidRow
from tunesmith.data.read_row import RowReader, StreamedRow, _example_columns, _plain_columns, to_rows, to_streamed_row
from tunesmith.data.row_rights import RowRightsReader
from tunesmith.recipe import SourceSettings

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
TURNS = st.lists(st.tuples(TEXT, st.sampled_from(["system", "user", "assistant", "tool"])), min_size=1, max_size=4)
TURN = {"role": "user", "content": "hi"}


def reader(columns: dict[str, str] | None = None) -> RowReader:
    spec = SourceSettings(path="a.jsonl", columns=columns or {}, license="MIT")
    return row_reader(spec)


def row_reader(spec: SourceSettings, mark: Callable[[str], str] = str) -> RowReader:
    rights = RowRightsReader("a.jsonl", spec, mark)
    return RowReader("a.jsonl", ExampleReader(None, spec.columns), rights, columns=spec.columns)


@given(TURNS)
def test_plain_messages_give_the_columns_of_their_example(turns: list[tuple[str, Any]]) -> None:
    example = Example(messages=tuple(message(role, text) for text, role in turns))
    columns = _plain_columns(turns)
    assert columns == _example_columns(example)
    assert columns[-1].encode() == example.canonical()


def first_and_second(record: dict[str, Any], columns: dict[str, str] | None = None) -> tuple[Any, Any]:
    """The result for a record as the first of its file (no fast path), and after plain records with the same columns."""
    plain: dict[str, Any] = {"messages": [TURN]} if "messages" in record else {"prompt": "a", "completion": "b"}
    after_plain = reader(columns)
    for _ in range(2):
        assert not isinstance(after_plain.read("1", 1, {**dict.fromkeys(record), **plain}), InvalidRow)
    return reader(columns).read("7", 7, record), after_plain.read("7", 7, record)


SAYS = {"role": "assistant", "content": "yo"}
RECORDS: list[dict[str, Any]] = [
    {"messages": [TURN, SAYS]},
    {"messages": [{**SAYS, "weight": 0}]},
    {"messages": [{**SAYS, "weight": None}]},
    {"messages": [{"content": "hi", "role": "user"}]},
    {"messages": [{"role": "user", "text": "hi"}]},
    {"messages": [{"role": "user"}]},
    {"messages": [{"role": "robot", "content": "x"}]},
    {"messages": [{"role": ["user"], "content": "x"}]},
    {"messages": [{"role": "user", "content": None}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
    {"messages": ["hi"]},
    {"messages": []},
    {"messages": "hi"},
    {"messages": {"role": "user", "content": "hi"}},
    {"messages": None},
    {"messages": [TURN], "tools": [{"name": "f"}]},
    {"messages": [TURN], "tools": "[]"},
    {"messages": [TURN], "tools": []},
    {"messages": [TURN], "tools": None},
    {"messages": [TURN], "functions": [1]},
    {"messages": [TURN], "functions": []},
    {"messages": [TURN], "note": 3},
    {"messages": [TURN], "license": "CC0-1.0"},
    {"messages": [TURN], "license": 3},
    {"messages": [TURN], "collected": "2026-02-30"},
    {"prompt": "a", "completion": ""},
    {"prompt": "a", "completion": None},
    {"prompt": 3, "completion": "b"},
    {"prompt": [TURN], "completion": [SAYS]},
    {"prompt": [TURN], "completion": "b"},
    {"prompt": "a", "completion": "b", "tools": "x"},
    {"completion": "b", "prompt": "a"},
]


@pytest.mark.parametrize("record", RECORDS, ids=repr)
def test_a_record_after_plain_records_is_read_as_if_it_were_the_first(record: dict[str, Any]) -> None:
    alone, after_plain = first_and_second(record)
    if isinstance(alone, InvalidRow) and "no format fits" in alone.reason:
        assert isinstance(after_plain, InvalidRow)
    else:
        assert after_plain == alone


def test_columns_of_other_names() -> None:
    columns = {"prompt": "question", "completion": "reply"}
    rows = reader(columns)
    for reply in ("yo", "ho"):
        row = rows.read("1", 1, {"question": "hi", "reply": reply, "prompt": "x"})
        assert isinstance(row, StreamedRow)
        assert row.turns == [("hi", "user"), (reply, "assistant")] and row.completion == reply
        assert row.rights == Rights(license="MIT", source="a.jsonl")


def test_rows_of_the_fast_path_share_one_rights_value() -> None:
    rows = reader()
    rights = [rows.read("1", 1, {"messages": [TURN]}).rights for _ in range(3)]  # type: ignore[union-attr]
    assert rights[0] is rights[1] is rights[2]


def test_the_subject_is_read_from_every_row() -> None:
    rows = row_reader(SourceSettings(path="a.jsonl", subject="who"), str.upper)
    read = [rows.read("1", 1, {"messages": [TURN], "who": who}) for who in ("ann", "bo", "")]
    assert [row.rights.subject for row in read] == ["ANN", "BO", None]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("example", "content"),
    [
        (Example(text="a", labels=("x", "y")), ([], "a", "x", "x, y")),
        (Example(text="a", labels=()), ([], "a", None, "")),
        (Example(text="a"), ([], "a", None, None)),
        (Example(messages=(message("user", "q"),)), ([("q", "user")], None, None, "")),
    ],
)
def test_the_columns_of_other_examples(example: Example, content: tuple[Any, ...]) -> None:
    assert _example_columns(example) == (*content, example.canonical().decode())


def test_a_row_survives_the_round_trip() -> None:
    example = Example(messages=(message("user", "é\n"),))
    row = Row(row_id="1", file="a.jsonl", line=3, example=example, rights=Rights(license="MIT"))
    assert list(to_rows([to_streamed_row(row)])) == [row]
