"""The header of a GGUF file: metadata keys and tensor list. Every length is checked against the file before it is used.

Layout (github.com/ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian): magic, version, number of tensors, number of
keys, the keys, the tensors' names, shapes, types and offsets, then the data from the next multiple of the alignment.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from tunesmith.errors import DataError

MAGIC: Final = b"GGUF"
SUPPORTED_VERSIONS: Final = (2, 3)
DEFAULT_ALIGNMENT_BYTES: Final = 32
MAX_DIMENSIONS: Final = 4
MAX_NAME_BYTES: Final = 1 << 16
"""Bytes of a key or tensor name; the format allows 65,535."""

STRUCT_FORMATS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
STRING_TYPE: Final = 8
ARRAY_TYPE: Final = 9

DAMAGED_FILE_HINT: Final = "download the file again and compare its SHA-256 with the publisher's"


@dataclass(frozen=True)
class TensorInfo:
    """Location of a tensor. `shape` is row-major; quantisation blocks run along the last axis."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    bytes: int


@dataclass(frozen=True)
class Header:
    """Metadata `keys`, and `tensors` by name with offsets from the start of the file."""

    keys: dict[str, Any]
    tensors: dict[str, TensorInfo]


def read_header(path: Path) -> Header:
    """Read the header. Raises DataError if the file is not GGUF, is truncated, or declares more than it holds."""
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _HeaderReader(file, size, str(path))
        if reader.take(4) != MAGIC:
            raise DataError(
                "not a GGUF file", where=str(path), hint="the first four bytes must be `GGUF`; download the file again"
            )
        version = reader.number("<I")
        if version not in SUPPORTED_VERSIONS:
            raise DataError(
                f"GGUF version {version} is not supported", where=str(path), hint="convert the file to version 3"
            )
        tensors, keys = reader.number("<Q"), reader.number("<Q")
        # A key takes at least 13 bytes and a tensor 24, which bounds the counts before anything is allocated.
        reader.check_available(13 * keys + 24 * tensors)
        metadata = dict(reader.key() for _ in range(keys))
        if len(metadata) != keys:
            raise DataError("the header has a duplicate key", where=str(path), hint=DAMAGED_FILE_HINT)
        infos = [reader.tensor() for _ in range(tensors)]
        start = _align_offset(file.tell(), metadata, str(path))
    return Header(metadata, _with_file_offsets(infos, start, size, str(path)))


@dataclass(frozen=True)
class _HeaderReader:
    """Reads values one by one; never reads or allocates more than the file holds."""

    file: BinaryIO
    size: int
    where: str

    def check_available(self, count: int) -> None:
        if count > self.size - self.file.tell():
            raise DataError(
                f"the GGUF header needs {count:,} bytes after byte {self.file.tell():,} of {self.size:,}: "
                "the file is truncated or damaged",
                where=self.where,
                hint=DAMAGED_FILE_HINT,
            )

    def take(self, count: int) -> bytes:
        self.check_available(count)
        return self.file.read(count)

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, max_bytes: int | None = None) -> str:
        count = self.number("<Q")
        if max_bytes is not None and count > max_bytes:
            raise DataError(f"the GGUF header has a name of {count:,} bytes", where=self.where, hint=DAMAGED_FILE_HINT)
        try:
            return self.take(count).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                "a string in the GGUF header is not UTF-8", where=self.where, hint=DAMAGED_FILE_HINT
            ) from error

    def key(self) -> tuple[str, Any]:
        return self.text(MAX_NAME_BYTES), self.value(self.number("<I"))

    def value(self, kind: int) -> Any:
        if kind == STRING_TYPE:
            return self.text()
        if kind == ARRAY_TYPE:
            return self.array(self.number("<I"), self.number("<Q"))
        if kind not in STRUCT_FORMATS:
            raise DataError(
                f"the GGUF header has a value of unknown type {kind}", where=self.where, hint=DAMAGED_FILE_HINT
            )
        return self.number(STRUCT_FORMATS[kind])

    def array(self, kind: int, count: int) -> list[Any]:
        if kind == STRING_TYPE:
            self.check_available(8 * count)
            return [self.text() for _ in range(count)]
        if kind not in STRUCT_FORMATS:
            raise DataError(
                f"the GGUF header has an array of unsupported type {kind}", where=self.where, hint=DAMAGED_FILE_HINT
            )
        form = STRUCT_FORMATS[kind]
        self.check_available(struct.calcsize(form) * count)
        return list(struct.unpack(f"<{count}{form[1:]}", self.take(struct.calcsize(form) * count)))

    def tensor(self) -> TensorInfo:
        name, dimensions = self.text(MAX_NAME_BYTES), self.number("<I")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise DataError(f"{name} has {dimensions} dimensions", where=self.where, hint=DAMAGED_FILE_HINT)
        shape = tuple(reversed([self.number("<Q") for _ in range(dimensions)]))
        code, offset = self.number("<I"), self.number("<Q")
        try:
            kind = GGMLQuantizationType(code)
        except ValueError as error:
            hint = "use the file in another quantisation, such as Q8_0 or BF16"
            raise DataError(f"{name} has the unknown tensor type {code}", where=self.where, hint=hint) from error
        return TensorInfo(name, shape, kind, offset, _tensor_bytes(name, shape, kind, self.where))


def _tensor_bytes(name: str, shape: tuple[int, ...], kind: GGMLQuantizationType, where: str) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    total = math.prod(shape)
    if total == 0 or shape[-1] % block:
        what = f"{name} of shape {list(shape)} does not fill whole blocks of {block} values"
        raise DataError(what, where=where, hint=DAMAGED_FILE_HINT)
    return total // block * size


def _align_offset(position: int, keys: dict[str, Any], where: str) -> int:
    alignment = keys.get("general.alignment", DEFAULT_ALIGNMENT_BYTES)
    if not isinstance(alignment, int) or alignment < 8 or alignment > 1 << 20 or alignment & (alignment - 1):
        raise DataError(f"general.alignment is {alignment!r}", where=where, hint=DAMAGED_FILE_HINT)
    return -(-position // alignment) * alignment


def _with_file_offsets(infos: list[TensorInfo], start: int, size: int, where: str) -> dict[str, TensorInfo]:
    """The tensors by name with offsets from the start of the file. Raises DataError for one that ends beyond the file."""
    placed: dict[str, TensorInfo] = {}
    for info in infos:
        offset = start + info.offset
        if info.name in placed:
            raise DataError(f"the tensor {info.name} is listed twice", where=where, hint=DAMAGED_FILE_HINT)
        if offset + info.bytes > size:
            what = f"{info.name} ends at byte {offset + info.bytes:,} but the file has {size:,} bytes: it is truncated or damaged"
            raise DataError(what, where=where, hint=DAMAGED_FILE_HINT)
        placed[info.name] = TensorInfo(info.name, info.shape, info.kind, offset, info.bytes)
    return placed
