"""A store with a scripted history (see tests/fixtures_lineage.py), and a key to sign with."""

import sys
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tunesmith.context import Context
from tunesmith.lineage.erase import RecordSigner
from tunesmith.store import Store, open_store
from tunesmith.trust import make_key

Made = tuple[Any, Context, RecordSigner]


@pytest.fixture(scope="session")
def scripted() -> Any:
    """The module of fixtures."""
    path = Path(__file__).parents[2] / "fixtures_lineage.py"
    spec = spec_from_file_location("fixtures_lineage", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["fixtures_lineage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fresh(tmp_path: Path, scripted: Any) -> Iterator[Callable[[], Made]]:
    """Creates a history in a new store on each call."""
    stores: list[Store] = []

    def make() -> Made:
        folder = tmp_path / str(len(stores))
        stores.append(open_store(folder / ".tunesmith"))
        context = Context(store=stores[-1], data_root=folder, home=folder)
        return scripted.make_history(stores[-1]), context, RecordSigner(make_key(folder / "key.pem"), folder / "log")

    yield make
    for store in stores:
        store.ledger.close()


@pytest.fixture
def history(fresh: Callable[[], Made]) -> Any:
    return fresh()[0]
