"""Cache of signal values per shard, so that a later audit recomputes only changed shards.

The key is the content of the shard's columns, the signal with its settings and version, the code version and the library
versions. Unreadable entries are recomputed. Values contain no row text.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from tunesmith.artifacts import canonical_bytes, digest_of
from tunesmith.store import Store
from tunesmith.store.objects import disk_errors
from tunesmith.store.versions import code_version, library_versions

DIGEST_BYTES: Final = 32


class SignalCache(Protocol):
    """Storage of signal values between audits."""

    def get(self, signal: str, lines: Sequence[pa.Array]) -> pa.Array | None:
        """The cached values of a signal (by its signature) for these columns, None on a miss."""
        ...

    def put(self, signal: str, lines: Sequence[pa.Array], values: pa.Array) -> None:
        """Store values for later audits."""
        ...


class NoSignalCache:
    """A cache that stores nothing."""

    def get(self, signal: str, lines: Sequence[pa.Array]) -> pa.Array | None:
        return None

    def put(self, signal: str, lines: Sequence[pa.Array], values: pa.Array) -> None:
        return None


class FolderSignalCache:
    """One file per signal and shard under `signals/` in the store's folder; entries of other versions are deleted.

    With `again`, nothing is read from the cache, but values are still stored.
    """

    def __init__(self, store: Store, *, again: bool = False) -> None:
        self._again = again
        versions = digest_of(canonical_bytes({"code": code_version(), "versions": library_versions()}))
        self._folder = store.folder / "signals" / versions[7:23]
        self._digests: dict[tuple[str | int | None, ...], tuple[pa.Array, bytes]] = {}
        """Digests by buffer addresses; the column is kept alive so that its addresses are not reused."""
        for other in (store.folder / "signals").glob("*"):
            if other != self._folder:
                shutil.rmtree(other)

    def get(self, signal: str, lines: Sequence[pa.Array]) -> pa.Array | None:
        path = self._path(signal, lines)
        if self._again or not path.is_file():
            return None
        data = path.read_bytes()
        if _digest(data[DIGEST_BYTES:]) != data[:DIGEST_BYTES]:
            return None
        table = pa.ipc.open_file(pa.BufferReader(data[DIGEST_BYTES:])).read_all()
        return table.column("value").combine_chunks()

    def put(self, signal: str, lines: Sequence[pa.Array], values: pa.Array) -> None:
        path, sink = self._path(signal, lines), pa.BufferOutputStream()
        table = pa.table({"value": values})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(data) + data)
            os.replace(name, path)

    def _path(self, signal: str, lines: Sequence[pa.Array]) -> Path:
        key = hashlib.blake2b(signal.encode(), digest_size=16)
        for column in lines:
            key.update(self._content(column))
        return self._folder / key.hexdigest()

    def _content(self, column: pa.Array) -> bytes:
        """Digest of a column's values, memoized by buffer addresses since several signals read the same columns."""
        addresses = (None if buffer is None else buffer.address for buffer in column.buffers())
        place = (str(column.type), *addresses, column.offset, len(column))
        if place not in self._digests:
            sink = pa.BufferOutputStream()
            batch = pa.record_batch({"column": column})
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            self._digests[place] = (column, _digest(sink.getvalue()))
        return self._digests[place][1]


def _digest(data: bytes | pa.Buffer) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
