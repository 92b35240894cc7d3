"""Rows in the store: a data set is known by its rows' digest; the gzip container only carries them."""

import gzip
import hashlib
from collections.abc import Sequence

from tunesmith.artifacts import Dataset, Row
from tunesmith.errors import IntegrityBroken
from tunesmith.store import Store


def keep_dataset(name: str, rows: Sequence[Row], store: Store) -> Dataset:
    """Store rows in order as gzip JSON lines (no timestamp inside); licences are listed once each, sorted."""
    total = hashlib.sha256()
    for row in rows:
        total.update(row.example.canonical() + b"\n")
    lines = b"".join(row.model_dump_json().encode() + b"\n" for row in rows)
    return Dataset(
        name=name,
        rows=len(rows),
        rows_digest=f"sha256:{total.hexdigest()}",
        container=store.objects.put(gzip.compress(lines, compresslevel=6, mtime=0)),
        licenses=tuple(sorted({row.rights.license for row in rows if row.rights.license})),
    )


def load_rows(dataset: Dataset, store: Store) -> list[Row]:
    """The rows of a data set, in order. Raises IntegrityBroken when they are not what its digest says."""
    rows = [Row.from_bytes(line) for line in gzip.decompress(store.objects.get(dataset.container)).splitlines()]
    total = hashlib.sha256()
    for row in rows:
        total.update(row.example.canonical() + b"\n")
    digest = f"sha256:{total.hexdigest()}"
    if digest != dataset.rows_digest or len(rows) != dataset.rows:
        raise IntegrityBroken(f"the rows of {dataset.name!r} are not those of its digest", where=dataset.container)
    return rows
