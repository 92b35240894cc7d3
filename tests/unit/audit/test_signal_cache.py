"""An audit of unchanged rows works nothing out twice; anything that changes is worked out again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
import pytest

from tunesmith.artifacts import Example, Row
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.corpus_builder import CorpusBuilder
from tunesmith.audit.signal_cache import FolderSignalCache
from tunesmith.context import Context
from tunesmith.data.read_row import to_streamed_row

SEEN: list[str] = []


@dataclass(frozen=True)
class Length:
    """Characters of a prompt, and a note of every prompt it was asked about."""

    id: ClassVar[str] = "length"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("prompt",)
    kind: ClassVar[pa.DataType] = pa.int64()

    times: int = 1

    def values(self, *columns: pa.Array) -> pa.Array:
        SEEN.extend(columns[0].to_pylist())
        return pa.array([len(text) * self.times for text in columns[0].to_pylist()], type=pa.int64())


def corpus(context: Context, *batches: list[str]) -> AuditTable:
    columns = CorpusBuilder()
    for number, texts in enumerate(batches):
        rows = [
            Row(row_id=f"{number}-{n}", file=f"{number}.jsonl", line=n, example=Example(text=text))
            for n, text in enumerate(texts)
        ]
        columns.add([to_streamed_row(row) for row in rows], "train")
    return columns.build(FolderSignalCache(context.store))


def lengths(corpus: AuditTable, signal: Length = Length()) -> tuple[list[int], list[str]]:
    SEEN.clear()
    return corpus.values(signal).to_pylist(), sorted(SEEN)


def test_only_shards_that_changed_are_worked_out(context: Context) -> None:
    assert lengths(corpus(context, ["a", "bb"], ["ccc"])) == ([1, 2, 3], ["a", "bb", "ccc"])
    assert lengths(corpus(context, ["a", "bb"], ["ccc"])) == ([1, 2, 3], [])
    assert lengths(corpus(context, ["ccc"], ["a", "bb"])) == ([3, 1, 2], [])
    assert lengths(corpus(context, ["a", "bx"], ["ccc"], ["dd"])) == ([1, 2, 3, 2], ["a", "bx", "dd"])


def test_another_setting_or_version_is_another_value(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths(corpus(context, ["a"]))
    assert lengths(corpus(context, ["a"]), Length(times=2)) == ([2], ["a"])
    monkeypatch.setattr(Length, "version", "2")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])


def test_values_of_other_code_are_thrown_away(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths(corpus(context, ["a"]))
    monkeypatch.setattr("tunesmith.audit.signal_cache.code_version", lambda: "other")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])
    assert len(list((context.store.folder / "signals").iterdir())) == 1


def test_what_cannot_be_read_back_is_worked_out_again(context: Context) -> None:
    lengths(corpus(context, ["a"]))
    (file,) = (path for path in (context.store.folder / "signals").rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])
    assert lengths(corpus(context, ["a"])) == ([1], [])


def test_rows_that_are_gone_have_no_value(context: Context) -> None:
    whole = corpus(context, ["a", "bb"], ["ccc"])
    left = whole.without({1})
    assert left.values(Length()).to_pylist() == [1, 3]


def test_no_text_lies_on_the_shelf(context: Context) -> None:
    lengths(corpus(context, ["a secret word"]))
    files: list[Path] = [path for path in (context.store.folder / "signals").rglob("*") if path.is_file()]
    assert files and all(b"secret" not in path.read_bytes() for path in files)
    assert json.dumps([path.name for path in files])
