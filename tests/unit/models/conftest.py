"""The tiny model of tests/fixtures_models.py, made once."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

from transformers import PreTrainedTokenizerFast

from tunesmith.models.backends.local import LocalModel, open_local


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixtures_models.make_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def letters() -> PreTrainedTokenizerFast:
    """61 entries."""
    return fixtures_models.letters(61)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LocalModel:
    return open_local(tiny_folder, digest="sha256:tiny")
