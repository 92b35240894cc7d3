"""Blocks of keys in the ledger: written whole for one owner, looked up by key over all owners, read back whole."""

import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import numpy
import sqlalchemy as sql
from sqlalchemy import Connection

from tunesmith.store.lineage.blocks import (
    CONSUMED,
    PLACE,
    POSITION,
    Keys,
    Payload,
    blocks,
    id_keys,
    opened,
    places_of,
    position_keys,
)
from tunesmith.store.lineage.nouns import NO_MARK, Consumed, DatasetRows
from tunesmith.store.schema import ORIGINS, POSTINGS

MANY: Final = 256
"""More keys than this are looked up in one pass over the blocks between the lowest and the highest."""

EMPTY: Final = zlib.compress(b"")


def write(connection: Connection, kind: str, owner: int, *, keys: Keys, payload: Payload) -> None:
    """The owner's blocks of one kind, in place of those it had."""
    connection.execute(POSTINGS.delete().where(POSTINGS.c.kind == kind, POSTINGS.c.owner == owner))
    lines = [{**block, "owner": owner} for block in blocks(kind, keys, payload)]
    if lines:
        connection.execute(POSTINGS.insert(), lines)


def look_up(
    connection: Connection, kind: str, keys: Iterable[bytes], *, owner: int | None = None
) -> Iterator[tuple[int, Keys, Payload]]:
    """(owner, keys, payload) of the lines that have one of the keys; of one owner, or of all."""
    query = sql.select(POSTINGS.c.owner, POSTINGS.c.sorted_keys, POSTINGS.c.payload).where(POSTINGS.c.kind == kind)
    if owner is not None:
        query = query.where(POSTINGS.c.owner == owner)
    wanted = sorted(set(keys))
    for group in [wanted] if len(wanted) > MANY else [[key] for key in wanted]:
        chosen = query.where(POSTINGS.c.first <= group[-1], POSTINGS.c.last >= group[0])
        for line in connection.execute(chosen.order_by(POSTINGS.c.owner, POSTINGS.c.block)):
            found, payload = opened(kind, line.sorted_keys, line.payload)
            places = places_of(found, numpy.array(group, dtype=found.dtype))
            if len(places):
                yield line.owner, found[places], payload[places]


def whole(connection: Connection, kind: str, owner: int) -> tuple[Keys, Payload]:
    """All of an owner's lines of one kind, by key."""
    query = sql.select(POSTINGS.c.sorted_keys, POSTINGS.c.payload).where(
        POSTINGS.c.kind == kind, POSTINGS.c.owner == owner
    )
    lines = connection.execute(query.order_by(POSTINGS.c.block))
    parts = [opened(kind, line.sorted_keys, line.payload) for line in lines] or [opened(kind, EMPTY, EMPTY)]
    return numpy.concatenate([keys for keys, _ in parts]), numpy.concatenate([payload for _, payload in parts])


def write_rows(connection: Connection, owner: int, rows: DatasetRows) -> None:
    """Rows, places, persons and origins of a data set, in place of those it had."""
    position = numpy.empty(len(rows.positions), dtype=POSITION)
    position["position"] = rows.positions
    place = numpy.empty(len(rows.positions), dtype=PLACE)
    for name, column in (
        *(("id", rows.ids), ("file", rows.files), ("line", rows.lines)),
        *(("source", rows.sources), ("generator", rows.generators)),
    ):
        place[name] = column
    marked = rows.subjects != NO_MARK
    write(connection, "row", owner, keys=id_keys(rows.ids), payload=position)
    write(connection, "place", owner, keys=position_keys(rows.positions), payload=place)
    write(connection, "subject", owner, keys=rows.subjects[marked], payload=position[marked])
    write_origins(connection, "dataset", owner, origins=rows.origins())


def read_rows(connection: Connection, owner: int, names: str) -> DatasetRows:
    """The rows of a data set as they were written; `names` is the JSON that stands beside them."""
    keys, place = whole(connection, "place", owner)
    positions = keys.view(">u4").astype("<u4")
    subjects = numpy.zeros(len(positions), dtype="S16")
    marks, marked = whole(connection, "subject", owner)
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


def write_consumed(connection: Connection, owner: int, consumed: Consumed) -> None:
    payload = numpy.empty(len(consumed.positions), dtype=CONSUMED)
    for name in CONSUMED.names or ():
        payload[name] = getattr(consumed, name)
    write(connection, "consumed", owner, keys=position_keys(consumed.positions), payload=payload)


def write_origins(connection: Connection, owner_kind: str, owner: int, *, origins: dict[tuple[str, str], int]) -> None:
    connection.execute(ORIGINS.delete().where(ORIGINS.c.owner_kind == owner_kind, ORIGINS.c.owner == owner))
    lines = [
        {"owner_kind": owner_kind, "owner": owner, "kind": kind, "name": name[:500], "rows": rows}
        for (kind, name), rows in sorted(origins.items())
    ]
    if lines:
        connection.execute(ORIGINS.insert(), lines)
