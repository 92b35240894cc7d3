"""The store: content-addressed objects, refs to them, and a ledger of runs, data sets and releases."""

from tunesmith.store.ledger import Ledger
from tunesmith.store.lock import RunLock
from tunesmith.store.objects import FolderObjects
from tunesmith.store.store import Store, open_store

__all__ = ["FolderObjects", "Ledger", "RunLock", "Store", "open_store"]
