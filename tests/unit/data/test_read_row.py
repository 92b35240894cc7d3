"""Rows without an object for each message: what the short way gives is what the long way gives, and it stops where it must."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.artifacts import Example, Rights, Row, message
from tunesmith.data.examples import ExampleReader
from tunesmith.data.format import InvalidRow
from tunesmith.data.read_row import Content, RowReader, StreamedRow, example_content, plain_message_content, to_rows
from tunesmith.data.row_rights import RowRightsReader
from tunesmith.recipe import SourceSettings

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
TURNS = st.lists(st.tuples(TEXT, st.sampled_from(["system", "user", "assistant", "tool"])), min_size=1, max_size=4)
TURN = {"role": "user", "content": "hi"}


def reader(columns: dict[str, str] | None = None) -> RowReader:
    spec = SourceSettings(path="a.jsonl", columns=columns or {}, license="MIT")
    return RowReader(ExampleReader(None, spec.columns), RowRightsReader("a.jsonl", spec, str), spec.columns)


@given(TURNS)
def test_plain_turns_are_those_of_their_example(turns: list[tuple[str, Any]]) -> None:
    example = Example(messages=tuple(message(role, text) for text, role in turns))
    content = plain_message_content(turns)
    assert content == example_content(example)
    assert content.example.encode() == example.canonical()


def first_and_second(record: dict[str, Any], columns: dict[str, str] | None = None) -> tuple[Any, Any]:
    """What a record is read as by the long way, as the first of its file, and behind a plain one of the same columns."""
    plain: dict[str, Any] = {"messages": [TURN]} if "messages" in record else {"prompt": "a", "completion": "b"}
    behind = reader(columns)
    for _ in range(2):
        assert not isinstance(behind.read(1, {**dict.fromkeys(record), **plain}), InvalidRow)
    return reader(columns).read(7, record), behind.read(7, record)


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
def test_behind_a_plain_row_every_row_is_read_as_it_is_alone(record: dict[str, Any]) -> None:
    alone, behind = first_and_second(record)
    if isinstance(alone, InvalidRow) and "no format fits" in alone.reason:
        assert isinstance(behind, InvalidRow)
    else:
        assert behind == alone


def test_columns_of_other_names() -> None:
    columns = {"prompt": "question", "completion": "reply"}
    one = reader(columns)
    for said in ("yo", "ho"):
        content, rights = one.read(1, {"question": "hi", "reply": said, "prompt": "x"})  # type: ignore[misc]
        assert content.turns == [("hi", "user"), (said, "assistant")] and content.completion == said
        assert rights == Rights(license="MIT", source="a.jsonl")


def test_the_rights_of_the_short_way_are_one_value() -> None:
    one = reader()
    held = [one.read(1, {"messages": [TURN]})[1] for _ in range(3)]  # type: ignore[index]
    assert held[0] is held[1] is held[2]


def test_a_person_is_looked_at_in_every_row() -> None:
    spec = SourceSettings(path="a.jsonl", subject="who")
    one = RowReader(ExampleReader(None, {}), RowRightsReader("a.jsonl", spec, str.upper), {})
    subjects = [one.read(1, {"messages": [TURN], "who": who})[1].subject for who in ("ann", "bo", "")]  # type: ignore[index, union-attr]
    assert subjects == ["ANN", "BO", None]


@pytest.mark.parametrize(
    ("example", "content"),
    [
        (Example(text="a", labels=("x", "y")), ([], "a", "x", "x, y")),
        (Example(text="a", labels=()), ([], "a", None, "")),
        (Example(text="a"), ([], "a", None, None)),
        (Example(messages=(message("user", "q"),)), ([("q", "user")], None, None, "")),
    ],
)
def test_what_columns_are_given_of_other_examples(example: Example, content: tuple[Any, ...]) -> None:
    assert example_content(example) == Content(*content, example.canonical().decode())


def test_lines_are_rows_again() -> None:
    example = Example(messages=(message("user", "é\n"),))
    row = Row(row_id="1", file="a.jsonl", line=3, example=example, rights=Rights(license="MIT"))
    assert list(to_rows([StreamedRow("1", "a.jsonl", 3, *example_content(example), row.rights)])) == [row]
