"""The public surface is pinned: a name, a verb or an option that comes or goes must be meant."""

import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith

NAMES = [
    "Context",
    "DataError",
    "Estimate",
    "Example",
    "Finding",
    "Insufficient",
    "IntegrityBroken",
    "Interrupted",
    "Limits",
    "MachineFailure",
    "Misuse",
    "Recipe",
    "RecipeError",
    "Refused",
    "RunResult",
    "StoreLocked",
    "TunesmithError",
    "Verdict",
    "limited",
    "load_public_pem",
    "load_recipe",
    "open_context",
    "parse_recipe",
    "run",
    "verify",
]
LIST_CLI = Path(__file__).with_name("list_cli.py")


def test_the_public_names_are_pinned() -> None:
    assert tunesmith.__all__ == NAMES
    assert dir(tunesmith) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tunesmith, name).__name__ in (name, "verify_release")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tunesmith' has no attribute 'rum'"):
        tunesmith.rum


def test_the_command_line_is_pinned() -> None:
    """After a wanted change: `python tests/architecture/list_cli.py > tests/architecture/cli.txt`."""
    run = subprocess.run([sys.executable, str(LIST_CLI)], capture_output=True, text=True, check=True)
    assert run.stdout == LIST_CLI.with_name("cli.txt").read_text(encoding="utf-8")


def test_the_errors_exit_as_the_contract_says() -> None:
    codes = {
        name: getattr(tunesmith, name).exit_code
        for name in NAMES
        if isinstance(getattr(tunesmith, name), type) and issubclass(getattr(tunesmith, name), tunesmith.TunesmithError)
    }
    assert codes == {
        "DataError": 2,
        "IntegrityBroken": 4,
        "Interrupted": 130,
        "MachineFailure": 5,
        "Misuse": 2,
        "RecipeError": 2,
        "Refused": 3,
        "StoreLocked": 5,
        "TunesmithError": 1,
    }
