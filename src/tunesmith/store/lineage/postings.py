"""Blocks of keys in the ledger, looked up by key over all owners or read back whole."""

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy

from tunesmith.store.lineage.blocks import Keys, Payload, opened, places_of
from tunesmith.store.lineage.nouns import DatasetRows
from tunesmith.store.reads import Ask

MANY: Final = 256
"""More keys than this are looked up in one pass over the blocks between the lowest and the highest."""

EMPTY: Final = zlib.compress(b"")
BETWEEN: Final = """SELECT owner, sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND first <= :high AND last >= :low {owned} ORDER BY owner, block"""
WHOLE: Final = """SELECT sorted_keys, payload FROM lineage_postings
WHERE kind = :kind AND owner = :owner ORDER BY block"""


def look_up(
    ask: Ask, kind: str, keys: Iterable[bytes], *, owner: int | None = None
) -> Iterator[tuple[int, Keys, Payload]]:
    """(owner, keys, payload) of the lines that have one of the keys; of one owner, or of all."""
    query = BETWEEN.format(owned="" if owner is None else "AND owner = :owner")
    values = {"kind": kind} if owner is None else {"kind": kind, "owner": owner}
    wanted = sorted(set(keys))
    for group in [wanted] if len(wanted) > MANY else [[key] for key in wanted]:
        for line_owner, sorted_keys, columns in ask(query, {**values, "low": group[0], "high": group[-1]}):
            found, payload = opened(kind, sorted_keys, columns)
            places = places_of(found, numpy.array(group, dtype=found.dtype))
            if len(places):
                yield line_owner, found[places], payload[places]


def whole(ask: Ask, kind: str, owner: int) -> tuple[Keys, Payload]:
    """All of an owner's lines of one kind, by key."""
    lines = list(ask(WHOLE, {"kind": kind, "owner": owner}))
    parts = [opened(kind, keys, columns) for keys, columns in lines] or [opened(kind, EMPTY, EMPTY)]
    return numpy.concatenate([keys for keys, _ in parts]), numpy.concatenate([payload for _, payload in parts])


def read_rows(ask: Ask, owner: int) -> DatasetRows:
    """The rows of a data set as they were written."""
    [[names]] = ask("SELECT names FROM lineage_datasets WHERE number = :owner", {"owner": owner})
    keys, place = whole(ask, "place", owner)
    positions = keys.view(">u4").astype("<u4")
    subjects = numpy.zeros(len(positions), dtype="S16")
    marks, marked = whole(ask, "subject", owner)
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
