"""Writes blocks of keys to the ledger; all blocks of an owner are replaced at once."""

import numpy
from sqlalchemy import Connection

from tunesmith.store.lineage.blocks import (
    CONSUMED_DTYPE,
    PLACE_DTYPE,
    POSITION_DTYPE,
    Keys,
    Payload,
    encode_blocks,
    id_keys,
    position_keys,
)
from tunesmith.store.lineage.records import NO_MARK, ConsumedRows, DatasetRows
from tunesmith.store.schema import ORIGINS, POSTINGS


def write_postings(connection: Connection, kind: str, owner: int, *, keys: Keys, payload: Payload) -> None:
    """Replace an owner's blocks of one kind."""
    connection.execute(POSTINGS.delete().where(POSTINGS.c.kind == kind, POSTINGS.c.owner == owner))
    blocks = [{**block, "owner": owner} for block in encode_blocks(kind, keys, payload)]
    if blocks:
        connection.execute(POSTINGS.insert(), blocks)


def write_rows(connection: Connection, owner: int, rows: DatasetRows) -> None:
    """Replace the rows, places, subjects and origins of a data set."""
    position = numpy.empty(len(rows.positions), dtype=POSITION_DTYPE)
    position["position"] = rows.positions
    place = numpy.empty(len(rows.positions), dtype=PLACE_DTYPE)
    for name, column in (
        *(("id", rows.ids), ("file", rows.files), ("line", rows.lines)),
        *(("source", rows.sources), ("generator", rows.generators)),
    ):
        place[name] = column
    marked = rows.subjects != NO_MARK
    write_postings(connection, "row", owner, keys=id_keys(rows.ids), payload=position)
    write_postings(connection, "place", owner, keys=position_keys(rows.positions), payload=place)
    write_postings(connection, "subject", owner, keys=rows.subjects[marked], payload=position[marked])
    write_origins(connection, "dataset", owner, origins=rows.origins())


def write_consumed(connection: Connection, owner: int, consumed: ConsumedRows) -> None:
    payload = numpy.empty(len(consumed.positions), dtype=CONSUMED_DTYPE)
    for name in CONSUMED_DTYPE.names or ():
        payload[name] = getattr(consumed, name)
    write_postings(connection, "consumed", owner, keys=position_keys(consumed.positions), payload=payload)


def write_origins(connection: Connection, owner_kind: str, owner: int, *, origins: dict[tuple[str, str], int]) -> None:
    connection.execute(ORIGINS.delete().where(ORIGINS.c.owner_kind == owner_kind, ORIGINS.c.owner == owner))
    values = [
        {"owner_kind": owner_kind, "owner": owner, "kind": kind, "name": name[:500], "rows": rows}
        for (kind, name), rows in sorted(origins.items())
    ]
    if values:
        connection.execute(ORIGINS.insert(), values)
