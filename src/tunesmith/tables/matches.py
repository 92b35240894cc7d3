"""Which rows match which regular expression, in one native pass over a text column (Daft 0.7 `regexp`, Rust regex)."""

from collections.abc import Mapping

import pyarrow as pa

from tunesmith import process

process.prepare()

import daft  # noqa: E402
from daft import col  # noqa: E402
from daft import functions as engine  # noqa: E402


def matching(table: pa.Table, *, column: str, gates: Mapping[str, str], row: str) -> dict[str, list[int]]:
    """For each named expression the `row` values whose text it matches, in order.

    The expressions are in the syntax of Rust's regex crate: no look-around, no back-references.
    """
    if table.num_rows == 0 or not gates:
        return {name: [] for name in gates}
    marks = [engine.regexp(col(column), pattern).alias(f"match {name}") for name, pattern in gates.items()]
    found = daft.from_arrow(table.select([row, column])).select(col(row), *marks).sort(row).to_arrow()
    rows = found.column(row)
    return {name: rows.filter(found.column(f"match {name}")).to_pylist() for name in gates}
