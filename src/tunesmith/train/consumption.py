"""The record of what the optimiser saw: step (from 1), row, token span, tokens supervised. Parquet, a few bytes a row."""

from collections.abc import Sequence

import pyarrow
import pyarrow.parquet

from tunesmith.models.tasks import EncodedRow
from tunesmith.store import Store

CONSUMPTION_SCHEMA = pyarrow.schema(
    [
        ("step", pyarrow.int32()),
        ("row_id", pyarrow.string()),
        ("first_token", pyarrow.int32()),
        ("tokens", pyarrow.int32()),
        ("supervised", pyarrow.int32()),
    ]
)


def store_consumption(steps: Sequence[Sequence[int]], rows: Sequence[EncodedRow], store: Store) -> str:
    """Store the record of the steps that were taken; the digest of the Parquet object."""
    taken = [(step, rows[index]) for step, indices in enumerate(steps, start=1) for index in indices]
    table = pyarrow.table(
        {
            "step": [step for step, _ in taken],
            "row_id": [row.row_id for _, row in taken],
            "first_token": [row.first_token for _, row in taken],
            "tokens": [len(row.ids) for _, row in taken],
            "supervised": [row.supervised for _, row in taken],
        },
        schema=CONSUMPTION_SCHEMA,
    )
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return store.objects.put(sink.getvalue().to_pybytes())
