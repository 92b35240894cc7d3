"""Stored rows as columns, batch by batch, and single rows by position.

Nothing here checks the object's digest: a look-up among a million rows must not read them all. What is rewritten is read
by `tunesmith.data.rows.each_row`, which does.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.lineage.picked import lines_at, path_of
from tunesmith.data.rows import SCHEMA, read_batches
from tunesmith.store import Store


def stored_batches(container: str, store: Store) -> Iterator[pa.Table]:
    """The rows of a data set in the columns of `rows.SCHEMA`, in order. Raises IntegrityBroken when the object is missing."""
    yield from read_batches(path_of(container, store))


def rows_at(container: str, positions: Iterable[int], store: Store) -> dict[int, Row]:
    """Rows by position; only the row groups that hold them are read."""
    return {place: _row(line) for place, line in lines_at(container, positions, SCHEMA.names, store=store)}


def _row(line: dict[str, str]) -> Row:
    example = Example.from_bytes(line["example"].encode())
    rights = Rights.from_bytes(line["rights"].encode())
    return Row(row_id=line["row_id"], file=line["file"], line=int(line["line"]), example=example, rights=rights)
