"""The consumption record: which row and token span every step (from 1) trained on. Parquet, a few bytes per row."""

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
    """Store the record of the finished steps. Returns the digest of the Parquet object."""
    consumed = [(step, rows[index]) for step, indices in enumerate(steps, start=1) for index in indices]
    table = pyarrow.table(
        {
            "step": [step for step, _ in consumed],
            "row_id": [row.row_id for _, row in consumed],
            "first_token": [row.first_token for _, row in consumed],
            "tokens": [len(row.ids) for _, row in consumed],
            "supervised": [row.supervised for _, row in consumed],
        },
        schema=CONSUMPTION_SCHEMA,
    )
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return store.objects.put(sink.getvalue().to_pybytes())
