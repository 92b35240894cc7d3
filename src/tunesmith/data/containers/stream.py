"""Read a text file as bytes, lines or one text: decompressed while reading, with size limits; binary files are rejected."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.format import InvalidRow
from tunesmith.errors import DataError

MAX_LINE_BYTES: Final = 10_000_000
"""A longer line indicates a wrong file, not a long example."""
MAX_DOCUMENT_BYTES: Final = 500_000_000
"""Limit for a JSON array or document, which is held in memory; JSON lines have no such limit."""
EXPANSION_ALLOWANCE_BYTES: Final = 1_000_000_000
MAX_EXPANSION_RATIO: Final = 1_000
"""A compressed file may always decompress to EXPANSION_ALLOWANCE_BYTES, and beyond that to MAX_EXPANSION_RATIO times its size.
gzip cannot exceed a ratio of 1,032; rows with one long system prompt reached several hundred."""
CHUNK_BYTES: Final = 1 << 18
COMPRESSED_SUFFIXES: Final = (".gz", ".zst")
MAGIC_NUMBERS: Final = (
    (b"PK\x03\x04", "a zip archive or spreadsheet"),
    (b"PK\x05\x06", "a zip archive or spreadsheet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old spreadsheet or office document"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF-", "a PDF"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a", "a RAR archive"),
    (b"\xfd7zXZ", "xz data"),
    (b"BZh", "bzip2 data"),
    (b"\x1f\x8b", "gzip inside, but the name does not end in .gz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard inside, but the name does not end in .zst"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
LINE_TOO_LONG: Final = "the line is longer than 10 MB"
SPLIT_LINE_HINT: Final = "one row belongs on one line; split it"


def refuse_missing(path: Path, name: str) -> None:
    """Raises DataError unless `path` is a readable file or a symbolic link to one."""
    try:
        status = path.stat()
    except FileNotFoundError:
        what = "broken symbolic link" if path.is_symlink() else "no such file"
        hint = "paths are relative to the recipe, or to --data-root"
        raise DataError(what, where=name, hint=hint) from None
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=name) from error
    except OSError as error:
        # ELOOP: links in a circle; ENAMETOOLONG; ENOTDIR: a file where a folder should be.
        raise DataError(f"the file cannot be read: {(error.strerror or '').lower()}", where=name) from error
    if path.is_dir():
        raise DataError("this is a folder", where=name, hint=f"give the files in it, e.g. {name.rstrip('/')}/*.jsonl")
    if not path.is_file():
        raise DataError(f"not a file but a device or a pipe (mode {status.st_mode:o})", where=name)


def binary_kind(head: bytes) -> str | None:
    """The kind of binary file that the first bytes indicate; None when they may be text."""
    if len(head) > 1 and head[0] == 0x80 and head[1] in range(2, 6):
        return "a Python pickle"
    kind = next((kind for magic, kind in MAGIC_NUMBERS if head.startswith(magic)), None)
    return kind or ("binary data" if b"\0" in head else None)


def read_chunks(path: Path, name: str, progress: FileProgress | None = None) -> Iterator[bytes]:
    """Yield the decompressed bytes of a text file. `progress` follows the position in the compressed file.

    Raises DataError when the file is binary, broken or unreadable, or exceeds the expansion limit.
    """
    progress = progress or FileProgress()
    with read_errors(name), _open_raw(path, name) as raw, _decompressed(raw, name) as file:
        size = path.stat().st_size
        limit, total = max(EXPANSION_ALLOWANCE_BYTES, size * MAX_EXPANSION_RATIO), 0
        while chunk := file.read(CHUNK_BYTES):
            progress.fraction = raw.tell() / size if size else 1.0
            if not total:
                _refuse_binary(chunk[:8192], name)
            total += len(chunk)
            if total > limit:
                what = f"the file decompresses to more than {MAX_EXPANSION_RATIO:,} times its size"
                raise DataError(what, where=name, hint="if you trust the file, decompress it yourself")
            yield chunk


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Convert the errors of reading and decompressing into a DataError that names the file."""
    again = "copy or download the file again"
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"the gzip data is broken: {error}", where=name, hint=again) from error
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=name) from error
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"the file cannot be read: {error.strerror}", where=name) from error
        raise DataError(f"the Zstandard data is broken: {error}", where=name, hint=again) from error


def _open_raw(path: Path, name: str) -> Any:
    """Open the file without decompression."""
    return pa.OSFile(str(path), "rb") if name.lower().endswith(".zst") else path.open("rb")


def _decompressed(raw: Any, name: str) -> Any:
    if name.lower().endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)
    if name.lower().endswith(".zst"):
        # Arrow's reader raises an error on truncated data; the stream reader of the zstandard package does not.
        return pa.CompressedInputStream(raw, "zstd")
    return raw


def _refuse_binary(head: bytes, name: str) -> None:
    if (kind := binary_kind(head)) is not None:
        hint = "export the rows as UTF-8 JSON lines or CSV"
        raise DataError(f"not a text file but {kind}", where=name, hint=hint)


def read_lines(path: Path, name: str, progress: FileProgress | None = None) -> Iterator[tuple[int, str] | InvalidRow]:
    """Yield (number from 1, line without its end); a line longer than MAX_LINE_BYTES is an InvalidRow and is not held in memory.

    A byte-order mark is skipped. Raises DataError at a NUL byte and at invalid UTF-8.
    """
    number, rest, skipping = 0, b"", False
    for chunk in read_chunks(path, name, progress):
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end and not skipping and (texts := _decode_block(block[:end])) is not None:
            texts[0] = texts[0].removeprefix("\ufeff") if number == 0 else texts[0]
            yield from enumerate(texts, number + 1)
            number += len(texts)
        elif end:
            for part in block[: end - 1].split(b"\n"):
                number += 1
                too_long = skipping or len(part) > MAX_LINE_BYTES
                overlong = InvalidRow(number, LINE_TOO_LONG, SPLIT_LINE_HINT)
                yield overlong if too_long else (number, _decode_line(part, number, name))
                skipping = False
        if len(rest) > MAX_LINE_BYTES:
            rest, skipping = b"", True
    if skipping:
        yield InvalidRow(number + 1, LINE_TOO_LONG, SPLIT_LINE_HINT)
    elif rest:
        yield number + 1, _decode_line(rest, number + 1, name)


def _decode_block(block: bytes) -> list[str] | None:
    """The lines of a block of whole lines, decoded at once; None when they must be decoded one by one."""
    if len(block) > MAX_LINE_BYTES or b"\0" in block:
        return None
    try:
        return block.decode("utf-8")[:-1].split("\n")
    except UnicodeDecodeError:
        return None


def _decode_line(raw: bytes, number: int, name: str) -> str:
    if b"\0" in raw:
        what, hint = f"a NUL byte at byte {raw.index(0) + 1} of the line", "the file is binary or damaged"
        raise DataError(what, where=f"{name}:{number}", hint=hint)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        what, hint = f"not UTF-8 at byte {error.start + 1} of the line", "save the file as UTF-8"
        raise DataError(what, where=f"{name}:{number}", hint=hint) from error
    return text.removeprefix("\ufeff") if number == 1 else text


def read_whole_text(path: Path, name: str, *, limit: int, hint: str) -> str:
    """The text of a file. Raises DataError when it has more than `limit` bytes, and as `read_lines` does."""
    parts: list[bytes] = []
    total = 0
    for chunk in read_chunks(path, name):
        total += len(chunk)
        if total > limit:
            raise DataError(f"the file is larger than {limit // 1_000_000} MB", where=name, hint=hint)
        parts.append(chunk)
    return "\n".join(_decode_line(line, number, name) for number, line in enumerate(b"".join(parts).split(b"\n"), 1))
