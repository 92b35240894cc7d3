"""Move some training rows to the held-out split, as `data.split` in the recipe asks, before any check runs.

Rows are drawn in an order that depends on their content and position, not on their ids, since ids differ between stores; and on
the split's own seed, so that changing `train.seed` does not change the held-out rows.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import SplitSummary
from tunesmith.audit.corpus_builder import CorpusBuilder
from tunesmith.audit.split import Split, split_rows
from tunesmith.context import Context
from tunesmith.data.rows import RowWriter, read_batches
from tunesmith.recipe import SplitSettings

RANDOM_STREAM: Final = "data/split"


def apply_split(
    builder: CorpusBuilder, container: Path, settings: SplitSettings, *, into: Path, context: Context
) -> tuple[CorpusBuilder, Path, Path, SplitSummary]:
    """A builder with the training rows first, the container of each side, and the summary of the split.

    Raises DataError when the rows cannot be split as asked.
    """
    rows = _with_stable_ids(builder.build().rows)
    split = split_rows(rows, settings, replace(context, seed=settings.seed).rng(RANDOM_STREAM))
    train, test = into / "divided-train.parquet", into / "divided-test.parquet"
    _write_sides(container, split, train=train, test=test)
    return builder.split(split.train, split.test), train, test, split.summary


def _with_stable_ids(table: pa.Table) -> pa.Table:
    """The table with store-independent numeric ids (ranked by content, then position) and the labels to stratify by."""
    keys = [(name, "ascending") for name in ("digest", "file", "line", "row")]
    order = numpy.asarray(compute.sort_indices(table, sort_keys=keys), dtype=numpy.int64)
    rank = numpy.empty(len(order), dtype=numpy.int64)
    rank[order] = numpy.arange(len(order))
    label = compute.coalesce(table.column("label"), table.column("completion"))
    table = table.set_column(table.column_names.index("completion"), "completion", label)
    return table.set_column(table.column_names.index("row_id"), "row_id", pa.array(rank))


def _write_sides(container: Path, split: Split, *, train: Path, test: Path) -> None:
    """Copy each row of the container to the container of its side, in order."""
    first = 0
    with RowWriter(train) as train_writer, RowWriter(test) as test_writer:
        for batch in read_batches(container):
            is_test = numpy.isin(numpy.arange(first, first + batch.num_rows), split.test)
            train_writer.write(batch.filter(pa.array(~is_test)))
            test_writer.write(batch.filter(pa.array(is_test)))
            first += batch.num_rows
