"""Blocks of keys in the ledger, looked up by key over all owners or read back whole."""

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy

from tunesmith.store.lineage.blocks import Keys, Payload, decode_block, matching_indices
from tunesmith.store.lineage.records import DatasetRows
from tunesmith.store.queries import RunQuery

MAX_SINGLE_LOOKUPS: Final = 256
"""More keys than this are looked up in one pass over the blocks between the lowest and the highest."""

EMPTY_BYTES_COMPRESSED: Final = zlib.compress(b"")
BLOCKS_IN_RANGE_SQL: Final = """SELECT owner, sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND first <= :high AND last >= :low {owned} ORDER BY owner, block"""
ALL_BLOCKS_SQL: Final = """SELECT sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND owner = :owner ORDER BY block"""


def look_up(
    ask: RunQuery, kind: str, keys: Iterable[bytes], *, owner: int | None = None
) -> Iterator[tuple[int, Keys, Payload]]:
    """(owner, keys, payload) of the lines that have one of the keys; of one owner, or of all."""
    query = BLOCKS_IN_RANGE_SQL.format(owned="" if owner is None else "AND owner = :owner")
    values = {"kind": kind} if owner is None else {"kind": kind, "owner": owner}
    wanted = sorted(set(keys))
    for group in [wanted] if len(wanted) > MAX_SINGLE_LOOKUPS else [[key] for key in wanted]:
        for line_owner, sorted_keys, columns in ask(query, {**values, "low": group[0], "high": group[-1]}):
            found, payload = decode_block(kind, sorted_keys, columns)
            places = matching_indices(found, numpy.array(group, dtype=found.dtype))
            if len(places):
                yield line_owner, found[places], payload[places]


def read_postings(ask: RunQuery, kind: str, owner: int) -> tuple[Keys, Payload]:
    """All of an owner's lines of one kind, by key."""
    lines = list(ask(ALL_BLOCKS_SQL, {"kind": kind, "owner": owner}))
    parts = [decode_block(kind, keys, columns) for keys, columns in lines] or [
        decode_block(kind, EMPTY_BYTES_COMPRESSED, EMPTY_BYTES_COMPRESSED)
    ]
    return numpy.concatenate([keys for keys, _ in parts]), numpy.concatenate([payload for _, payload in parts])


def read_rows(ask: RunQuery, owner: int) -> DatasetRows:
    """The rows of a data set as they were written."""
    [[names]] = ask("SELECT names FROM lineage_datasets WHERE number = :owner", {"owner": owner})
    keys, place = read_postings(ask, "place", owner)
    positions = keys.view(">u4").astype("<u4")
    subjects = numpy.zeros(len(positions), dtype="S16")
    marks, marked = read_postings(ask, "subject", owner)
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
