"""Sorted keys with what belongs to them, cut into blocks that SQL keeps as bytes.

A line of SQL holds BLOCK rows: first and last key for the index, all keys, and the payload's columns one after the other, both
compressed. A key is found by one indexed look-up and a binary search, and a million rows are 245 lines to insert.
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
    [(name, "<u4") for name in ("first", "tokens", "supervised", "times", "begun", "ended")]
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
    """Row ids as 8 bytes whose order is that of the numbers."""
    return numpy.ascontiguousarray(ids.astype(">u8")).view("S8")


def position_keys(positions: npt.NDArray[Any]) -> Keys:
    """Positions as 4 bytes whose order is that of the numbers."""
    return numpy.ascontiguousarray(positions.astype(">u4")).view("S4")


def encode_blocks(kind: str, keys: Keys, payload: Payload) -> Iterator[dict[str, Any]]:
    """The values of the lines for these keys, in any order given; equal input gives equal bytes."""
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
    found = numpy.frombuffer(zlib.decompress(keys), dtype=f"S{KEY_BYTES[kind]}")
    data, dtype = zlib.decompress(payload), PAYLOAD_DTYPES[kind]
    made = numpy.empty(len(found), dtype=dtype)
    start = 0
    for name in dtype.names or ():
        made[name] = numpy.frombuffer(data, dtype=dtype[name], count=len(found), offset=start)
        start += len(found) * dtype[name].itemsize
    return found, made


def matching_indices(keys: Keys, wanted: Keys) -> npt.NDArray[numpy.int64]:
    """Where any of the wanted keys stands among sorted keys, key by key."""
    starts, ends = numpy.searchsorted(keys, wanted, "left"), numpy.searchsorted(keys, wanted, "right")
    counts = ends - starts
    return numpy.repeat(starts - numpy.cumsum(counts) + counts, counts) + numpy.arange(counts.sum())
