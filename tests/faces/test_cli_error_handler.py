"""Every exception of a command becomes a message and an exit code."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from tunesmith import errors
from tunesmith.cli.error_handler import handle_errors

FULL = OSError(errno.ENOSPC, "No space left on device", "/store/objects")
CLOSED = PermissionError(errno.EACCES, "Permission denied", "/rows.jsonl")


def ends(error: BaseException) -> int:
    """Exit code of a command that raises `error`."""

    def verb() -> None:
        raise error

    with pytest.raises(typer.Exit) as stop:
        handle_errors(verb)()
    return stop.value.exit_code


@pytest.mark.parametrize(
    ("error", "code", "expected_message"),
    [
        (errors.DataError("bad row", where="a:1", hint="mend it"), 2, "error: bad row\nwhere: a:1\nhint: mend it\n"),
        (errors.Refused("no"), 3, "error: no\n"),
        (errors.IntegrityBroken("torn", where="a"), 4, "error: torn\nwhere: a\n"),
        (FULL, 5, "error: disk full\nwhere: /store/objects\nhint: free disk space and run the command again\n"),
        (
            CLOSED,
            5,
            "error: access denied: Permission denied\nwhere: /rows.jsonl\nhint: check the permissions of this path\n",
        ),
    ],
)
def test_known_errors(error: Exception, code: int, expected_message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(error) == code
    assert capsys.readouterr().err == expected_message


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_out_of_memory(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(error) == 5
    assert capsys.readouterr().err.startswith("error: out of memory\nhint: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.Interrupted("stopped")])
def test_an_interrupt(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(error) == 130
    assert capsys.readouterr().err == "Interrupted. Finished stages are kept; run the same command to continue.\n"


def test_an_internal_error_saves_its_traceback_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(ValueError("odd\nand more")) == 1
    expected_message = capsys.readouterr().err
    path = Path(expected_message.split("attach ")[1].split(";")[0])
    text = path.read_text(encoding="utf-8")
    path.unlink()
    assert expected_message.startswith("error: internal error: ValueError: odd\n")
    assert "Traceback" not in expected_message
    assert text.startswith("Traceback") and text.endswith("ValueError: odd\nand more\n")


def test_a_successful_command_is_unaffected() -> None:
    seen: dict[str, Any] = {}
    verb: Callable[..., None] = handle_errors(lambda **arguments: seen.update(arguments))
    verb(recipe="a")
    assert seen == {"recipe": "a"}
