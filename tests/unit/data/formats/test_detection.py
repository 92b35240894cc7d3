"""Every format matches its own sample only; a row that matches several formats is an error."""

import json
import re
from pathlib import Path

import pytest

from tunesmith.data import formats
from tunesmith.data.format import FORMATS, Record, detect_format, matching_formats
from tunesmith.errors import DataError

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]

SAMPLES: list[tuple[str, Record]] = [
    ("messages", {"messages": TURNS}),
    ("messages", {"messages": TURNS, "tools": [], "id": 3}),
    ("sharegpt", {"conversations": [{"from": "human", "value": "hi"}]}),
    ("sharegpt", {"id": "x", "conversations": [{"from": "human", "value": "hi"}], "system": "s", "tools": "[]"}),
    ("alpaca", {"instruction": "a", "input": "", "output": "b"}),
    ("alpaca", {"instruction": "a", "output": "b", "system": "c"}),
    ("prompt-completion", {"prompt": "a", "completion": "b"}),
    ("prompt-completion", {"prompt": TURNS[:1], "completion": TURNS[1:]}),
    ("labelled-text", {"text": "a", "label": "b"}),
    ("labelled-text", {"text": "a", "labels": ["b", "c"]}),
    ("tagged-tokens", {"tokens": ["a"], "tags": ["O"]}),
    ("spans", {"text": "a", "spans": []}),
    ("spans", {"text": "a", "entities": []}),
    ("translation", {"translation": {"en": "a", "de": "b"}}),
    ("translation", {"source": "a", "target": "b"}),
    ("summary", {"document": "a", "summary": "b"}),
    ("summary", {"article": "a", "summary": "b"}),
    ("summary", {"text": "a", "summary": "b"}),
    ("question-answer", {"question": "a", "context": "c", "answers": {"text": ["b"], "answer_start": [0]}}),
    ("question-answer", {"question": "a", "answer": "b"}),
    ("text", {"text": "a"}),
    ("text", {"text": "a", "url": "b"}),
]

NEITHER: list[tuple[str, Record]] = [
    ("prompt-completion and text", {"prompt": "a", "completion": "b", "text": "c"}),
    ("labelled-text and spans", {"text": "a", "label": "b", "spans": []}),
    ("alpaca and text", {"instruction": "a", "output": "b", "text": "c"}),
    ("messages and sharegpt", {"messages": TURNS, "conversations": []}),
]


@pytest.mark.parametrize(("name", "record"), SAMPLES)
def test_a_sample_matches_its_format_only(name: str, record: Record) -> None:
    assert [plugin.id for plugin in matching_formats(record, {})] == [name]
    assert detect_format(record, {}).id == name


def test_every_format_has_a_sample() -> None:
    FORMATS.load(formats)
    assert sorted({name for name, _ in SAMPLES}) == list(FORMATS)


@pytest.mark.parametrize(("names", "record"), NEITHER)
def test_two_matching_formats_are_named(names: str, record: Record) -> None:
    with pytest.raises(DataError, match=f"the columns fit {names}\nhint: say which one with `format: "):
        detect_format(record, {})


def test_columns_choose_between_formats() -> None:
    record = {"text": "a", "question": "b", "answer": "c"}
    assert detect_format(record, {"prompt": "question", "completion": "answer"}).id == "prompt-completion"


@pytest.mark.parametrize("record", [{}, {"translated": {}}, {"tokens": ["a"]}, {"conversation": []}])
def test_no_matching_format(record: Record) -> None:
    with pytest.raises(DataError):
        detect_format(record, {})


def test_rows_in_the_documentation_match_their_formats(root: Path) -> None:
    page = (root / "docs/formats/data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| `(\{.*\})` \|$", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == list(FORMATS)
    for name, row in rows:
        record = json.loads(row)
        assert detect_format(record, {}).id == name
        assert detect_format(record, {}).read(record, {}).completion or name == "text"
