"""Stored rows as columns, batch by batch, and single rows by position.

Nothing here checks the object's digest: a look-up among a million rows must not read them all. What is rewritten is read
by `tunesmith.data.rows.iterate_rows`, which does.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.rows import ROW_SCHEMA, read_batches
from tunesmith.lineage.stored_examples import container_path, values_at
from tunesmith.store import Store


def stored_batches(container: str, store: Store) -> Iterator[pa.Table]:
    """The rows of a data set in the columns of `rows.SCHEMA`, in order. Raises IntegrityBroken when the object is missing."""
    yield from read_batches(container_path(container, store))


def rows_at(container: str, positions: Iterable[int], store: Store) -> dict[int, Row]:
    """Rows by position; only the row groups that hold them are read."""
    return {place: _to_row(line) for place, line in values_at(container, positions, ROW_SCHEMA.names, store=store)}


def _to_row(line: dict[str, str]) -> Row:
    example = Example.from_bytes(line["example"].encode())
    rights = Rights.from_bytes(line["rights"].encode())
    return Row(row_id=line["row_id"], file=line["file"], line=int(line["line"]), example=example, rights=rights)
