"""The synthetic run of tests/fixtures_reports.py."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SPEC = spec_from_file_location("fixtures_reports", Path(__file__).parents[2] / "fixtures_reports.py")
fixtures_reports = module_from_spec(SPEC)
sys.modules[SPEC.name] = fixtures_reports
SPEC.loader.exec_module(fixtures_reports)


@pytest.fixture
def make() -> Any:
    """The module with report factories, e.g. `make.audit_report(findings=())`."""
    return fixtures_reports


@pytest.fixture
def reports() -> Any:
    """Recipe, audit, train, evaluation and gate of a run that passed."""
    return fixtures_reports.all_reports()
