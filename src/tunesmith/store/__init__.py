"""The store: content-addressed objects, refs to them, and a ledger of runs, data sets and releases.

Names are imported on first use, so that read-only access (`tunesmith.store.read_only`) does not import SQLAlchemy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunesmith.store.ledger import Ledger
    from tunesmith.store.lock import RunLock
    from tunesmith.store.objects import FolderObjects
    from tunesmith.store.store import Store, open_store

__all__ = ["FolderObjects", "Ledger", "RunLock", "Store", "open_store"]

_MODULES = {
    "FolderObjects": "objects",
    "Ledger": "ledger",
    "RunLock": "lock",
    "Store": "store",
    "open_store": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunesmith.store' has no attribute {name!r}")
    return getattr(import_module(f"tunesmith.store.{_MODULES[name]}"), name)
