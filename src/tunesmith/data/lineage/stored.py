"""Stored rows as columns, batch by batch, and single rows by position.

Nothing here checks the object's digest: a look-up among a million rows must not read them all. What is rewritten is read
by `tunesmith.data.rows.each_row`, which does.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.rows import SCHEMA, read_batches
from tunesmith.errors import IntegrityBroken
from tunesmith.store import Store


def stored_batches(container: str, store: Store) -> Iterator[pa.Table]:
    """The rows of a data set in the columns of `rows.SCHEMA`, in order. Raises IntegrityBroken when the object is missing."""
    yield from read_batches(_path(container, store))


def rows_at(container: str, positions: Iterable[int], store: Store) -> dict[int, Row]:
    """Rows by position; only the row groups that hold them are read."""
    return {place: _row(line) for place, line in _lines(container, positions, SCHEMA.names, store=store)}


def examples_at(container: str, positions: Iterable[int], store: Store) -> dict[int, tuple[str, Example]]:
    """(row id, example) by position: what a look at the words needs, in half the time."""
    found = _lines(container, positions, ["row_id", "example"], store=store)
    return {place: (line["row_id"], Example.from_bytes(line["example"].encode())) for place, line in found}


def _lines(
    container: str, positions: Iterable[int], columns: list[str], *, store: Store
) -> Iterator[tuple[int, dict[str, str]]]:
    wanted = sorted(set(positions))
    start = 0
    with parquet.ParquetFile(_path(container, store)) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = [position - start for position in wanted if start <= position < end]
            if here:
                lines = file.read_row_group(group, columns=columns).take(here).to_pylist()
                yield from zip((start + place for place in here), lines, strict=True)
            start = end


def _row(line: dict[str, str]) -> Row:
    example = Example.from_bytes(line["example"].encode())
    rights = Rights.from_bytes(line["rights"].encode())
    return Row(row_id=line["row_id"], file=line["file"], line=int(line["line"]), example=example, rights=rights)


def _path(container: str, store: Store) -> Path:
    path = store.objects.path(container)
    if not path.is_file():
        raise IntegrityBroken("the rows of a data set are missing from the store", where=container)
    return path
