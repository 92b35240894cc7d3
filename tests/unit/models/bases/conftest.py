"""Tiny GGUF files and wheels, and a cache of their own for every test."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SPEC = spec_from_file_location("fixtures_gguf", Path(__file__).parents[3] / "fixtures_gguf.py")
fixtures_gguf = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_gguf)


@pytest.fixture(scope="session")
def tiny_gguf() -> Any:
    """The module that writes tiny GGUF files and wheels."""
    return fixtures_gguf


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for bases."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TUNESMITH_CACHE", str(folder))
    return folder / "bases"
