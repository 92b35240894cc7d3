"""Tiny encoders and encoder-decoders of tests/fixtures_encoders.py, made once a family."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[2] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

FAMILIES = tuple(fixtures.ENCODERS)
SEQ2SEQ = tuple(fixtures.SEQ2SEQ)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            make = fixtures.make_encoder if family in FAMILIES else fixtures.make_seq2seq
            made[family] = make(tmp_path_factory.mktemp(family), family)
        return made[family]

    return folder
