"""The store: content-addressed objects, refs to them, and a ledger of runs, data sets and releases.

Each name is imported when it is first asked for: what only looks (`tunesmith.store.read_only`) does without SQLAlchemy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.store.ledger import Ledger
    from tunesmith.store.lock import RunLock
    from tunesmith.store.objects import FolderObjects
    from tunesmith.store.store import Store, open_store

__all__ = ["FolderObjects", "Ledger", "RunLock", "Store", "open_store"]

_HOMES = {
    "FolderObjects": "objects",
    "Ledger": "ledger",
    "RunLock": "lock",
    "Store": "store",
    "open_store": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunesmith.store' has no attribute {name!r}")
    return getattr(import_module(f"tunesmith.store.{_HOMES[name]}"), name)
