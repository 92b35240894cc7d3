"""A store that is only looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tunesmith.store.lineage import Lookups
from tunesmith.store.objects import FolderObjects
from tunesmith.store.reads import SqliteFile

LEDGER: Final = "ledger.db"
"""The file of a store's own ledger."""

ASKED: Final = frozenset(
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


class Readable(Protocol):
    """What looking things up needs of a store."""

    @property
    def folder(self) -> Path: ...
    @property
    def objects(self) -> FolderObjects: ...
    @property
    def lookups(self) -> Lookups: ...


@dataclass(frozen=True)
class ReadStore:
    """A store in a folder whose ledger is a file of SQLite; nothing is made and nothing is written."""

    folder: Path
    objects: FolderObjects
    lookups: Lookups


def open_to_read(folder: Path) -> ReadStore | None:
    """The store of a folder; None when its ledger is not there, or lacks tables that opening it to write would make."""
    ledger = SqliteFile(folder / LEDGER)
    if not ledger.path.is_file() or not ledger.tables() >= ASKED:
        return None
    return ReadStore(folder, FolderObjects(folder / "objects"), Lookups(ledger))
