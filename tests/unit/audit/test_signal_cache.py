"""Signals of unchanged shards come from the cache; any change recomputes them."""

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


def test_only_changed_shards_are_recomputed(context: Context) -> None:
    assert lengths(corpus(context, ["a", "bb"], ["ccc"])) == ([1, 2, 3], ["a", "bb", "ccc"])
    assert lengths(corpus(context, ["a", "bb"], ["ccc"])) == ([1, 2, 3], [])
    assert lengths(corpus(context, ["ccc"], ["a", "bb"])) == ([3, 1, 2], [])
    assert lengths(corpus(context, ["a", "bx"], ["ccc"], ["dd"])) == ([1, 2, 3, 2], ["a", "bx", "dd"])


def test_settings_and_version_are_part_of_the_key(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths(corpus(context, ["a"]))
    assert lengths(corpus(context, ["a"]), Length(times=2)) == ([2], ["a"])
    monkeypatch.setattr(Length, "version", "2")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])


def test_values_of_other_code_versions_are_deleted(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths(corpus(context, ["a"]))
    monkeypatch.setattr("tunesmith.audit.signal_cache.code_version", lambda: "other")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])
    assert len(list((context.store.folder / "signals").iterdir())) == 1


def test_unreadable_entries_are_recomputed(context: Context) -> None:
    lengths(corpus(context, ["a"]))
    (file,) = (path for path in (context.store.folder / "signals").rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert lengths(corpus(context, ["a"])) == ([1], ["a"])
    assert lengths(corpus(context, ["a"])) == ([1], [])


def test_removed_rows_have_no_value(context: Context) -> None:
    whole = corpus(context, ["a", "bb"], ["ccc"])
    left = whole.without({1})
    assert left.values(Length()).to_pylist() == [1, 3]


def test_the_cache_contains_no_row_text(context: Context) -> None:
    lengths(corpus(context, ["a secret word"]))
    files: list[Path] = [path for path in (context.store.folder / "signals").rglob("*") if path.is_file()]
    assert files and all(b"secret" not in path.read_bytes() for path in files)
    assert json.dumps([path.name for path in files])
