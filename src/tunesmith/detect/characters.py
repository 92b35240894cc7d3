"""Counts of vowels, digits, signs and other classes of bytes in each text of a column."""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

ByteCounts = npt.NDArray[np.int64]

BYTE_CLASSES: Final = {
    "letters": bytes(range(65, 91)) + bytes(range(97, 123)),
    "vowels": b"aeiouyAEIOUY",
    "digits": b"0123456789",
    "signs": bytes(code for code in range(33, 127) if not chr(code).isalnum()),
    "spaces": b" \t\r\n\v\f",
    "beyond": bytes(range(128, 256)),
}
"""ASCII only, except for `beyond`: the bytes of all other characters, two to four each. `signs` are punctuation and symbols."""

MAX_BYTES: Final = 65_535
"""Bytes of a text that are counted: the most that sixteen bits can hold."""

_MAX_CLASSES: Final = 4
_BLOCK_BYTES: Final = 1 << 18
"""Bytes processed at a time, so that their values stay in the cache of a core."""


def class_counts(texts: pa.Array, names: tuple[str, ...]) -> dict[str, ByteCounts]:
    """For each class, at most four, the number of its bytes in the first 65,535 bytes of each text; null counts as empty."""
    starts, ends, data = _text_bytes(texts)
    ends = np.minimum(ends, starts + MAX_BYTES)
    table, sums = _table(names), np.zeros(len(starts), dtype=np.uint64)
    for first, last in _blocks(starts):
        sums[first:last] = _packed_sums(table, data, starts[first:last], ends[first:last])
    return {
        name: ((sums >> np.uint64(16 * place)) & np.uint64(MAX_BYTES)).astype(np.int64)
        for place, name in enumerate(names)
    }


def count_class(text: str, name: str) -> int:
    """The number of bytes of one class in a text."""
    data = text.encode()
    return len(data) - len(data.translate(None, BYTE_CLASSES[name]))


def _table(names: tuple[str, ...]) -> npt.NDArray[np.uint64]:
    """Maps a byte to a number with a field of sixteen bits for each class."""
    if len(names) > _MAX_CLASSES:
        raise ValueError(f"at most {_MAX_CLASSES} classes at once")
    table = np.zeros(256, dtype=np.uint64)
    for place, name in enumerate(names):
        table[np.frombuffer(BYTE_CLASSES[name], dtype=np.uint8)] += np.uint64(1 << 16 * place)
    return table


def _packed_sums(
    table: npt.NDArray[np.uint64], data: npt.NDArray[np.uint8], starts: ByteCounts, ends: ByteCounts
) -> npt.NDArray[np.uint64]:
    """The packed sums over each [start, end). `reduceat` needs indices inside the array, hence the extra last value."""
    low, high = int(starts[0]), int(ends[-1])
    values = np.empty(high - low + 1, dtype=np.uint64)
    np.take(table, data[low:high], out=values[:-1], mode="clip")  # every byte is in range; `clip` avoids a buffer
    values[-1] = 0
    sums: npt.NDArray[np.uint64] = np.add.reduceat(values, np.column_stack((starts - low, ends - low)).ravel())[::2]
    return np.where(starts == ends, np.uint64(0), sums)


def _blocks(starts: ByteCounts) -> list[tuple[int, int]]:
    """[first, last) of texts that begin in the same block of bytes."""
    if not len(starts):
        return []
    changes = np.flatnonzero(np.diff(starts // _BLOCK_BYTES)) + 1
    return list(pairwise([0, *changes.tolist(), len(starts)]))


def _text_bytes(texts: pa.Array) -> tuple[ByteCounts, ByteCounts, npt.NDArray[np.uint8]]:
    """(starts, ends, bytes) of the UTF-8 of an array of texts."""
    filled = compute.fill_null(texts.cast(pa.large_string()), "")
    _, offsets, data = filled.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
    return places[:-1], places[1:], np.frombuffer(data if data is not None else b"", dtype=np.uint8)
