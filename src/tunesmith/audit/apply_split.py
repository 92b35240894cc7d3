"""Divide: some of the training rows become held-out rows, before any check looks at them, as `data.split` asks.

The order in which rows are drawn comes from what they say and where they stand, not from their ids, for ids differ from
store to store; and from the split's own seed, for another `train.seed` must not be judged on other rows.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import SplitSummary
from tunesmith.audit.columns import CorpusBuilder
from tunesmith.audit.split import Split, split_rows
from tunesmith.context import Context
from tunesmith.data.rows import RowWriter, read_batches
from tunesmith.recipe import SplitSettings

RANDOM_STREAM: Final = "data/split"


def apply_split(
    columns: CorpusBuilder, container: Path, settings: SplitSettings, *, into: Path, context: Context
) -> tuple[CorpusBuilder, Path, Path, SplitSummary]:
    """Columns with the training rows first, a container for each side, and what was reached.

    Raises DataError when the rows cannot be divided as asked.
    """
    table = columns.corpus().table
    split = split_rows(_with_stable_ids(table), settings, replace(context, seed=settings.seed).rng(RANDOM_STREAM))
    train, test = into / "divided-train.parquet", into / "divided-test.parquet"
    _write_sides(container, split, train=train, test=test)
    return columns.divided(split.train, split.test), train, test, split.summary


def _with_stable_ids(table: pa.Table) -> pa.Table:
    """The table with numbers for ids that are the same in every store, by content, then by place; and labels to stratify by."""
    keys = [(name, "ascending") for name in ("digest", "file", "line", "row")]
    order = numpy.asarray(compute.sort_indices(table, sort_keys=keys), dtype=numpy.int64)
    rank = numpy.empty(len(order), dtype=numpy.int64)
    rank[order] = numpy.arange(len(order))
    label = compute.coalesce(table.column("label"), table.column("completion"))
    table = table.set_column(table.column_names.index("completion"), "completion", label)
    return table.set_column(table.column_names.index("row_id"), "row_id", pa.array(rank))


def _write_sides(container: Path, split: Split, *, train: Path, test: Path) -> None:
    """Each row of the container to the container of its side, in order."""
    with RowWriter(train) as kept, RowWriter(test) as held_out:
        for first, batch in _numbered_batches(container):
            lines = numpy.arange(first, first + batch.num_rows)
            held = numpy.isin(lines, split.test)
            kept.write(batch.filter(pa.array(~held)))
            held_out.write(batch.filter(pa.array(held)))


def _numbered_batches(container: Path) -> Iterator[tuple[int, pa.Table]]:
    first = 0
    for batch in read_batches(container):
        yield first, batch
        first += batch.num_rows
