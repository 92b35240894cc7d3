"""Choose the reader of a file by its suffix, and read its records."""

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
    """Yield (line from 1, record) for each row of a file, and an InvalidRow for each row that is invalid.

    The suffix of `name` gives the kind of file. `progress` is updated while reading.

    Raises DataError, with file and line, when the file itself cannot be read: missing, a folder, empty, of an unknown kind,
    binary, not UTF-8, truncated, or broken so that the next row cannot be found.
    """
    refuse_missing(path, name)
    any_rows = False
    for item in reader_for(name)(path, name, progress or FileProgress()):
        any_rows = True
        yield item
    if not any_rows:
        raise DataError("the file has no rows", where=name, hint="add rows, or remove the file from `data:`")


def read_all_records(path: Path, name: str) -> Iterator[tuple[int, Record]]:
    """Yield (line from 1, record). Raises DataError as `scan_records` does, and at the first invalid row."""
    for item in scan_records(path, name):
        if isinstance(item, InvalidRow):
            raise DataError(item.reason, where=f"{name}:{item.line}", hint=item.hint)
        yield item


def data_suffix(name: str) -> str:
    """The suffix that gives the kind of data, without the compression suffix: `.jsonl` of `a.jsonl.gz`."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in COMPRESSED_SUFFIXES else path.suffix


def reader_for(name: str) -> RecordSource:
    """The reader for a file of this name. Raises DataError on an unknown suffix."""
    suffix, compressed = data_suffix(name), name.lower().endswith(COMPRESSED_SUFFIXES)
    if suffix in COLUMNAR_READERS and not compressed:
        return COLUMNAR_READERS[suffix]
    if suffix in TEXT_READERS:
        return TEXT_READERS[suffix]
    supported = f"{', '.join(TEXT_READERS)}, each also with .gz or .zst; {', '.join(COLUMNAR_READERS)}"
    if suffix in COLUMNAR_READERS:
        what = f"compressed {suffix} files"
    else:
        what = f"files with the suffix {suffix!r}" if suffix else "files without a suffix"
    raise DataError(f"{what} are not supported", where=name, hint=f"supported: {supported}")
