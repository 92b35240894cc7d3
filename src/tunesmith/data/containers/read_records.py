"""Which reader reads a file, and the two ways to be told of a row that cannot be used."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from tunesmith.data.containers.columnar import read_arrow, read_parquet
from tunesmith.data.containers.conll import read_conll
from tunesmith.data.containers.delimited import read_csv, read_tsv
from tunesmith.data.containers.json_files import ScannedRecord, read_json, read_json_lines
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import COMPRESSED_SUFFIXES, refuse_missing
from tunesmith.data.containers.text_file import read_text_file
from tunesmith.data.format import InvalidRow, Record
from tunesmith.errors import DataError

RecordSource = Callable[[Path, str, FileProgress], Iterator[ScannedRecord]]

TEXT_READERS: Final[Mapping[str, RecordSource]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".conll": read_conll,
    ".annotated": read_conll,
    ".txt": read_text_file,
    ".md": read_text_file,
}
COLUMNAR_READERS: Final[Mapping[str, RecordSource]] = {".parquet": read_parquet, ".arrow": read_arrow}


def scan_records(path: Path, name: str, progress: FileProgress | None = None) -> Iterator[ScannedRecord]:
    """(line from 1, record) of every row of a file, and a Misfit for each that is none; `name` gives the kind of file.

    The progress says how far the reading has come and what the reader has to say of the file.

    Raises DataError, naming file and line, where the file itself cannot be used: missing, a folder, empty, of an unknown kind,
    binary, not UTF-8, cut off, broken so that the next row cannot be found.
    """
    refuse_missing(path, name)
    found = False
    for item in reader_for(name)(path, name, progress or FileProgress()):
        found = True
        yield item
    if not found:
        raise DataError("the file is empty: it has no rows", where=name, hint="put rows in it, or leave it out")


def read_all_records(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """(line from 1, record) of a file. Raises DataError as `scan` does, and at the first row that cannot be used."""
    for item in scan_records(path, name):
        if isinstance(item, InvalidRow):
            raise DataError(item.reason, where=f"{name}:{item.line}", hint=item.hint)
        yield item


def data_suffix(name: str) -> str:
    """The ending that says what a file holds, without that of its packing: `.jsonl` of `a.jsonl.gz`."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in COMPRESSED_SUFFIXES else path.suffix


def reader_for(name: str) -> RecordSource:
    """The reader for a file of this name. Raises DataError on an ending that is not known."""
    suffix, packed = data_suffix(name), name.lower().endswith(COMPRESSED_SUFFIXES)
    if suffix in COLUMNAR_READERS and not packed:
        return COLUMNAR_READERS[suffix]
    if suffix in TEXT_READERS:
        return TEXT_READERS[suffix]
    known = f"{', '.join(TEXT_READERS)}, each also with .gz or .zst; {', '.join(COLUMNAR_READERS)}"
    what = f"packed {suffix} files" if suffix in COLUMNAR_READERS else f"files ending in {suffix or 'nothing'!r}"
    raise DataError(f"{what} are not read", where=name, hint=f"known: {known}")
