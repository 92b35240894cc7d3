"""Read the stored rows of a data set: all of them in batches of columns, or single rows by position.

The digest of the object is not checked here: a look-up in a million rows must not read them all. Rows that are rewritten are
read by `tunesmith.data.rows.iterate_rows`, which checks it.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tunesmith.artifacts import Example, Rights, Row
from tunesmith.data.rows import ROW_SCHEMA, read_batches
from tunesmith.lineage.stored_examples import container_path, values_at
from tunesmith.store import Store


def stored_batches(container: str, store: Store) -> Iterator[pa.Table]:
    """The rows of a data set in order, in batches with the columns of ROW_SCHEMA. Raises IntegrityBroken when it is missing."""
    yield from read_batches(container_path(container, store))


def rows_at(container: str, positions: Iterable[int], store: Store) -> dict[int, Row]:
    """{position: row}; only the row groups that hold the positions are read."""
    return {
        position: _to_row(values) for position, values in values_at(container, positions, ROW_SCHEMA.names, store=store)
    }


def _to_row(values: dict[str, str]) -> Row:
    example = Example.from_bytes(values["example"].encode())
    rights = Rights.from_bytes(values["rights"].encode())
    return Row(row_id=values["row_id"], file=values["file"], line=int(values["line"]), example=example, rights=rights)
