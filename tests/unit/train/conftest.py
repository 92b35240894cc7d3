"""The tiny model of tests/fixtures_models.py, a context, and rows that need no tokenizer."""

from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

from tunesmith.context import Context
from tunesmith.models.loading import load_folder
from tunesmith.store import open_store


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixtures_models.make_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(tiny_folder: Path) -> Any:
    """A fresh copy of the model, every tensor trainable."""
    return load_folder(tiny_folder)[0].requires_grad_(True)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    opened = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)
    yield opened
    opened.store.ledger.close()
