"""Read-only access to a store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tunesmith.store.lineage import Lookups
from tunesmith.store.objects import FolderObjects
from tunesmith.store.queries import SqliteFile

LEDGER_FILE: Final = "ledger.db"
"""File name of the SQLite ledger in a store's folder."""

LOOKUP_TABLES: Final = frozenset(
    {
        "runs",
        "salts",
        "lineage_datasets",
        "lineage_postings",
        "lineage_origins",
        "lineage_trainings",
        "lineage_parents",
        "lineage_weights",
        "lineage_releases",
    }
)
"""The tables that Lookups reads."""


class ReadableStore(Protocol):
    """The parts of a store that lineage look-ups need."""

    @property
    def folder(self) -> Path: ...
    @property
    def objects(self) -> FolderObjects: ...
    @property
    def lookups(self) -> Lookups: ...


@dataclass(frozen=True)
class ReadOnlyStore:
    """A store with a SQLite ledger, opened without creating or writing anything."""

    folder: Path
    objects: FolderObjects
    lookups: Lookups


def open_read_only(folder: Path) -> ReadOnlyStore | None:
    """The store in a folder; None when it has no ledger, or a ledger without tables that `open_store` would create."""
    ledger = SqliteFile(folder / LEDGER_FILE)
    if not ledger.path.is_file() or not ledger.tables() >= LOOKUP_TABLES:
        return None
    return ReadOnlyStore(folder, FolderObjects(folder / "objects"), Lookups(ledger))
