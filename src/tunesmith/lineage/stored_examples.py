"""Read single rows of a data set by position, from the Parquet row groups that hold them.

The digest of the object is not checked here: a look-up in a million rows must not read them all.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pyarrow import parquet

from tunesmith.artifacts import Example
from tunesmith.errors import IntegrityBroken
from tunesmith.store.read_only import ReadableStore


def examples_at(container: str, positions: Iterable[int], store: ReadableStore) -> dict[int, tuple[str, Example]]:
    """{position: (row id, example)}; reads half of the columns that `stored_rows.rows_at` reads."""
    values = values_at(container, positions, ["row_id", "example"], store=store)
    return {position: (row["row_id"], Example.from_bytes(row["example"].encode())) for position, row in values}


def values_at(
    container: str, positions: Iterable[int], columns: Sequence[str], *, store: ReadableStore
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (position, {column: value}) in order of position."""
    wanted = sorted(set(positions))
    start = 0
    with parquet.ParquetFile(container_path(container, store)) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = [position for position in wanted if start <= position < end]
            if here:
                rows = file.read_row_group(group, columns=list(columns))
                # Slices, because `take` with a list of positions makes pyarrow import pandas, which takes 0.3 s.
                yield from ((position, rows.slice(position - start, 1).to_pylist()[0]) for position in here)
            start = end


def container_path(container: str, store: ReadableStore) -> Path:
    """The Parquet file of a data set. Raises IntegrityBroken when it is missing."""
    path = store.objects.path(container)
    if not path.is_file():
        raise IntegrityBroken("the rows of a data set are missing from the store", where=container)
    return path
