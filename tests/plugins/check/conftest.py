"""A context over an empty store, with the test's own folder as data root."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.context import Context
from tunesmith.store import open_store


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    store = open_store(tmp_path / "store")
    yield Context(store=store, data_root=tmp_path, home=tmp_path)
    store.ledger.close()
