"""Sorted keys with a payload, stored as blocks of bytes in SQL.

One SQL row holds BLOCK_KEYS entries: the first and last key for the index, then all keys and all payload columns, compressed. A
key is found by one indexed query and a binary search; a million entries take 245 SQL rows.
"""

import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy
import numpy.typing as npt

BLOCK_KEYS: Final = 4096
COMPRESSION_LEVEL: Final = 1
POSITION_DTYPE: Final = numpy.dtype([("position", "<u4")])
PLACE_DTYPE: Final = numpy.dtype([("id", "<u8"), *((name, "<u4") for name in ("file", "line", "source", "generator"))])
CONSUMED_DTYPE: Final = numpy.dtype(
    [(name, "<u4") for name in ("first", "tokens", "supervised", "times", "first_step", "last_step")]
)
PAYLOAD_DTYPES: Final = {
    "row": POSITION_DTYPE,
    "subject": POSITION_DTYPE,
    "place": PLACE_DTYPE,
    "consumed": CONSUMED_DTYPE,
}
KEY_BYTES: Final = {"row": 8, "subject": 16, "place": 4, "consumed": 4}

Keys = npt.NDArray[numpy.bytes_]
Payload = npt.NDArray[Any]


def id_keys(ids: npt.NDArray[numpy.uint64]) -> Keys:
    """Row ids as 8-byte keys, ordered as the numbers: (rows,) uint64 to (rows,) S8."""
    return numpy.ascontiguousarray(ids.astype(">u8")).view("S8")


def position_keys(positions: npt.NDArray[Any]) -> Keys:
    """Positions as 4-byte keys, ordered as the numbers: (rows,) to (rows,) S4."""
    return numpy.ascontiguousarray(positions.astype(">u4")).view("S4")


def encode_blocks(kind: str, keys: Keys, payload: Payload) -> Iterator[dict[str, Any]]:
    """The SQL rows for these keys, which may come in any order. Equal input gives equal bytes."""
    order = numpy.argsort(keys, kind="stable")
    width = KEY_BYTES[kind]
    for number, start in enumerate(range(0, len(order), BLOCK_KEYS)):
        chosen = order[start : start + BLOCK_KEYS]
        data = keys[chosen].tobytes()
        columns = b"".join(
            numpy.ascontiguousarray(payload[name][chosen]).tobytes() for name in PAYLOAD_DTYPES[kind].names or ()
        )
        yield {
            "kind": kind,
            "block": number,
            "first": data[:width],
            "last": data[-width:],
            "sorted_keys": zlib.compress(data, COMPRESSION_LEVEL),
            "payload": zlib.compress(columns, COMPRESSION_LEVEL),
        }


def decode_block(kind: str, keys: bytes, payload: bytes) -> tuple[Keys, Payload]:
    """The keys and the payload of a block."""
    block_keys = numpy.frombuffer(zlib.decompress(keys), dtype=f"S{KEY_BYTES[kind]}")
    data, dtype = zlib.decompress(payload), PAYLOAD_DTYPES[kind]
    columns = numpy.empty(len(block_keys), dtype=dtype)
    start = 0
    for name in dtype.names or ():
        columns[name] = numpy.frombuffer(data, dtype=dtype[name], count=len(block_keys), offset=start)
        start += len(block_keys) * dtype[name].itemsize
    return block_keys, columns


def matching_indices(keys: Keys, wanted: Keys) -> npt.NDArray[numpy.int64]:
    """Indices of all occurrences of the wanted keys in sorted keys, in the order of the wanted keys."""
    starts, ends = numpy.searchsorted(keys, wanted, "left"), numpy.searchsorted(keys, wanted, "right")
    counts = ends - starts
    # Per wanted key: starts, starts + 1, ..., ends - 1, without a Python loop.
    return numpy.repeat(starts - numpy.cumsum(counts) + counts, counts) + numpy.arange(counts.sum())
