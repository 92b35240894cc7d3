"""Which reader reads a file, and the two ways to be told of a row that cannot be used."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from tunesmith.data.containers.columnar import arrow_file, parquet_file
from tunesmith.data.containers.conll import conll_file
from tunesmith.data.containers.gauge import Gauge
from tunesmith.data.containers.json_files import Item, json_file, json_lines
from tunesmith.data.containers.separated import comma_file, tab_file
from tunesmith.data.containers.stream import PACKED, refuse_missing
from tunesmith.data.containers.text_file import text_file
from tunesmith.data.format import Misfit, Record
from tunesmith.errors import DataError

Reader = Callable[[Path, str, Gauge], Iterator[Item]]

TEXTS: Final[Mapping[str, Reader]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_file,
    ".csv": comma_file,
    ".tsv": tab_file,
    ".conll": conll_file,
    ".annotated": conll_file,
    ".txt": text_file,
    ".md": text_file,
}
COLUMNS: Final[Mapping[str, Reader]] = {".parquet": parquet_file, ".arrow": arrow_file}


def scan(path: Path, name: str, gauge: Gauge | None = None) -> Iterator[Item]:
    """(line from 1, record) of every row of a file, and a Misfit for each that is none; `name` gives the kind of file.

    The gauge says how far the reading has come and what the reader has to say of the file.

    Raises DataError, naming file and line, where the file itself cannot be used: missing, a folder, empty, of an unknown kind,
    binary, not UTF-8, cut off, broken so that the next row cannot be found.
    """
    refuse_missing(path, name)
    found = False
    for item in reader_of(name)(path, name, gauge or Gauge()):
        found = True
        yield item
    if not found:
        raise DataError("the file is empty: it has no rows", where=name, hint="put rows in it, or leave it out")


def read_records(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """(line from 1, record) of a file. Raises DataError as `scan` does, and at the first row that cannot be used."""
    for item in scan(path, name):
        if isinstance(item, Misfit):
            raise DataError(item.reason, where=f"{name}:{item.line}", hint=item.hint)
        yield item


def ending(name: str) -> str:
    """The ending that says what a file holds, without that of its packing: `.jsonl` of `a.jsonl.gz`."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in PACKED else path.suffix


def reader_of(name: str) -> Reader:
    """The reader for a file of this name. Raises DataError on an ending that is not known."""
    suffix, packed = ending(name), name.lower().endswith(PACKED)
    if suffix in COLUMNS and not packed:
        return COLUMNS[suffix]
    if suffix in TEXTS:
        return TEXTS[suffix]
    known = f"{', '.join(TEXTS)}, each also with .gz or .zst; {', '.join(COLUMNS)}"
    what = f"packed {suffix} files" if suffix in COLUMNS else f"files ending in {suffix or 'nothing'!r}"
    raise DataError(f"{what} are not read", where=name, hint=f"known: {known}")
