"""map_batches and group_min_count: the two table operations of the audit, run by Daft 0.7."""

from collections.abc import Callable, Sequence

import daft
import numpy
import pyarrow as pa
from daft import col

# Arrow's default pool keeps memory that a finished column has freed: 700 bytes per row of an audit.
pa.set_memory_pool(pa.system_memory_pool())


def map_batches(
    table: pa.Table, function: Callable[..., pa.Array], *, columns: Sequence[str], name: str, kind: pa.DataType
) -> pa.Table:
    """The table with one more column `name`: `function` takes Arrow arrays of `columns` and returns an array of type `kind`.

    A batch may hold any number of rows, and the function must return one value per row. Row order is kept.
    """
    if table.num_rows == 0:
        return table.append_column(name, pa.array([], type=kind))

    @daft.func.batch(return_dtype=daft.DataType.from_arrow_type(kind), use_process=False)
    def mapped(*series: daft.Series) -> daft.Series:
        values = function(*(column.to_arrow() for column in series))
        return daft.Series.from_arrow(values, name)

    position = pa.array(numpy.arange(table.num_rows))
    frame = daft.from_arrow(table.select(list(dict.fromkeys(columns))).append_column(_POSITION, position))
    mapped_frame = frame.select(col(_POSITION), mapped(*(col(column) for column in columns)).alias(name)).sort(
        _POSITION
    )
    return table.append_column(name, _combine_chunks(mapped_frame.to_arrow().column(name), kind))


def group_min_count(table: pa.Table, *, keys: Sequence[str], row: str) -> pa.Table:
    """Every input row with `minimum` (the lowest `row` of its group) and `count` (rows in its group), sorted by `row`.

    Rows are in one group when all their `keys` are equal. Raises ValueError when a key is null.
    """
    _require_no_nulls(table, keys)
    if table.num_rows == 0:
        return table.append_column("minimum", table.column(row)).append_column("count", pa.array([], type=pa.int64()))
    frame = daft.from_arrow(table)
    groups = frame.groupby(*keys).agg(
        col(row).min().alias("minimum"), col(row).count().cast(daft.DataType.int64()).alias("count")
    )
    order = [row, *(key for key in keys if key != row)]
    return (
        frame.join(groups, on=list(keys))
        .sort([col(name) for name in order])
        .to_arrow()
        .select([*table.column_names, "minimum", "count"])
    )


_POSITION = "__position__"


def _combine_chunks(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    combined = column.combine_chunks()
    return combined if combined.type == kind else combined.cast(kind)


def _require_no_nulls(table: pa.Table, keys: Sequence[str]) -> None:
    for key in keys:
        if table.column(key).null_count:
            raise ValueError(f"the key column {key!r} contains nulls")
