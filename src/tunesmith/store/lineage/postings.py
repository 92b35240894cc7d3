"""Blocks of keys in the ledger: looked up by key, of one owner or of all, or read back completely."""

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy

from tunesmith.store.lineage.blocks import Keys, Payload, decode_block, matching_indices
from tunesmith.store.lineage.records import DatasetRows
from tunesmith.store.queries import RunQuery

MAX_SINGLE_LOOKUPS: Final = 256
"""More keys than this are looked up in one query over all blocks between the lowest and the highest key."""

EMPTY_BYTES_COMPRESSED: Final = zlib.compress(b"")
BLOCKS_IN_RANGE_SQL: Final = """SELECT owner, sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND first <= :high AND last >= :low {owned} ORDER BY owner, block"""
ALL_BLOCKS_SQL: Final = """SELECT sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND owner = :owner ORDER BY block"""


def look_up(
    run_query: RunQuery, kind: str, keys: Iterable[bytes], *, owner: int | None = None
) -> Iterator[tuple[int, Keys, Payload]]:
    """(owner, keys, payload) for every block with any of the keys, of one owner or of all."""
    query = BLOCKS_IN_RANGE_SQL.format(owned="" if owner is None else "AND owner = :owner")
    values = {"kind": kind} if owner is None else {"kind": kind, "owner": owner}
    wanted = sorted(set(keys))
    for group in [wanted] if len(wanted) > MAX_SINGLE_LOOKUPS else [[key] for key in wanted]:
        for block_owner, sorted_keys, columns in run_query(query, {**values, "low": group[0], "high": group[-1]}):
            block_keys, payload = decode_block(kind, sorted_keys, columns)
            matches = matching_indices(block_keys, numpy.array(group, dtype=block_keys.dtype))
            if len(matches):
                yield block_owner, block_keys[matches], payload[matches]


def read_postings(run_query: RunQuery, kind: str, owner: int) -> tuple[Keys, Payload]:
    """All keys and payload of one kind of an owner, in key order."""
    blocks = list(run_query(ALL_BLOCKS_SQL, {"kind": kind, "owner": owner}))
    parts = [decode_block(kind, keys, columns) for keys, columns in blocks] or [
        decode_block(kind, EMPTY_BYTES_COMPRESSED, EMPTY_BYTES_COMPRESSED)
    ]
    return numpy.concatenate([keys for keys, _ in parts]), numpy.concatenate([payload for _, payload in parts])


def read_rows(run_query: RunQuery, owner: int) -> DatasetRows:
    """All rows of a data set."""
    [[names]] = run_query("SELECT names FROM lineage_datasets WHERE number = :owner", {"owner": owner})
    keys, place = read_postings(run_query, "place", owner)
    positions = keys.view(">u4").astype("<u4")
    subjects = numpy.zeros(len(positions), dtype="S16")
    marks, marked = read_postings(run_query, "subject", owner)
    subjects[numpy.searchsorted(positions, marked["position"])] = marks
    return DatasetRows(
        positions=positions,
        ids=place["id"],
        files=place["file"],
        lines=place["line"],
        sources=place["source"],
        generators=place["generator"],
        subjects=subjects,
        names={key: tuple(value) for key, value in json.loads(names).items()},
    )
