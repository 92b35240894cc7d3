"""Tests on real pretrained bases. Each is skipped, and counted, where its base is not in the local cache."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.models.bases.fetch import cached_base


@pytest.fixture(scope="session")
def base_folder() -> Callable[[str], Path]:
    """The checked folder of a base of the catalogue."""
    folders: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in folders:
            found = cached_base(name)
            if found is None:
                pytest.skip(f"needs a fetched base: `tunesmith base get {name}`")
            folders[name] = found.folder
        return folders[name]

    return folder
