"""Single rows of a data set by position: only the row groups that hold them are read.

Nothing here checks the object's digest: a look-up among a million rows must not read them all.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pyarrow import parquet

from tunesmith.artifacts import Example
from tunesmith.errors import IntegrityBroken
from tunesmith.store.read_only import ReadableStore


def examples_at(container: str, positions: Iterable[int], store: ReadableStore) -> dict[int, tuple[str, Example]]:
    """(row id, example) by position: what a look at the words needs, in half the time."""
    found = values_at(container, positions, ["row_id", "example"], store=store)
    return {place: (line["row_id"], Example.from_bytes(line["example"].encode())) for place, line in found}


def values_at(
    container: str, positions: Iterable[int], columns: Sequence[str], *, store: ReadableStore
) -> Iterator[tuple[int, dict[str, str]]]:
    """(position, values by column), in order."""
    wanted = sorted(set(positions))
    start = 0
    with parquet.ParquetFile(container_path(container, store)) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = [position for position in wanted if start <= position < end]
            if here:
                lines = file.read_row_group(group, columns=list(columns))
                # By slices: to take rows by a list of numbers, pyarrow imports pandas, which takes 0.3 s.
                yield from ((place, lines.slice(place - start, 1).to_pylist()[0]) for place in here)
            start = end


def container_path(container: str, store: ReadableStore) -> Path:
    """The file of a data set's rows. Raises IntegrityBroken when it is not there."""
    path = store.objects.path(container)
    if not path.is_file():
        raise IntegrityBroken("the rows of a data set are missing from the store", where=container)
    return path
