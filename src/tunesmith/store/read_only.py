"""A store that is only looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tunesmith.store.lineage import Lookups
from tunesmith.store.objects import FolderObjects
from tunesmith.store.queries import SqliteFile

LEDGER_FILE: Final = "ledger.db"
"""The file of a store's own ledger."""

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
"""The tables that look-ups read."""


class ReadableStore(Protocol):
    """What looking things up needs of a store."""

    @property
    def folder(self) -> Path: ...
    @property
    def objects(self) -> FolderObjects: ...
    @property
    def lookups(self) -> Lookups: ...


@dataclass(frozen=True)
class ReadOnlyStore:
    """A store in a folder whose ledger is a file of SQLite; nothing is made and nothing is written."""

    folder: Path
    objects: FolderObjects
    lookups: Lookups


def open_read_only(folder: Path) -> ReadOnlyStore | None:
    """The store of a folder; None when its ledger is not there, or lacks tables that opening it to write would make."""
    ledger = SqliteFile(folder / LEDGER_FILE)
    if not ledger.path.is_file() or not ledger.tables() >= LOOKUP_TABLES:
        return None
    return ReadOnlyStore(folder, FolderObjects(folder / "objects"), Lookups(ledger))
