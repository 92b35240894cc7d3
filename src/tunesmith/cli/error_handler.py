"""Error handling for all commands: one message on stderr and an exit code, never a traceback."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import typer

from tunesmith.errors import Interrupted, MachineFailure, PeerFailed, TunesmithError

DISK_FULL_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ACCESS_ERRORS: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
INTERRUPTED_MESSAGE: Final = "Interrupted. Finished stages are kept; run the same command to continue."
TORCH_OUT_OF_MEMORY: Final = "can't allocate memory"
"""Part of the RuntimeError message that torch's CPU allocator raises when memory runs out."""


def handle_errors(verb: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that every exception becomes a message and an exit code."""

    @wraps(verb)
    def call(**arguments: Any) -> None:
        try:
            verb(**arguments)
        except (typer.Exit, typer.Abort):
            raise
        except (KeyboardInterrupt, Interrupted):
            _write_stderr(INTERRUPTED_MESSAGE)
            raise typer.Exit(Interrupted.exit_code) from None
        except BrokenPipeError:
            _discard_stdout()
        except (Exception, MemoryError) as error:  # noqa: BLE001 - a face is where every error ends
            raise typer.Exit(report_error(error)) from None

    return call


def report_error(error: BaseException) -> int:
    """Print what went wrong, where, and what to do. Returns the exit code."""
    tunesmith_error = as_tunesmith_error(error)
    if isinstance(tunesmith_error, PeerFailed):
        return tunesmith_error.exit_code
    if tunesmith_error is None:
        kind = type(error).__name__
        first_line = str(error).strip().partition("\n")[0]
        _write_stderr(f"error: internal error: {kind}: {first_line}"[:400])
        _write_stderr(_save_traceback(error))
        return 1
    _write_stderr(f"error: {tunesmith_error.what}")
    if tunesmith_error.where:
        _write_stderr(f"where: {tunesmith_error.where}")
    if tunesmith_error.hint:
        _write_stderr(f"hint: {tunesmith_error.hint}")
    return tunesmith_error.exit_code


def as_tunesmith_error(error: BaseException) -> TunesmithError | None:
    """The error as a TunesmithError, or None when it is a bug in this program."""
    match error:
        case TunesmithError():
            return error
        case OSError() if error.errno in DISK_FULL_ERRORS:
            return MachineFailure(
                "disk full", where=_error_path(error), hint="free disk space and run the command again"
            )
        case OSError() if error.errno in ACCESS_ERRORS:
            return MachineFailure(
                f"access denied: {error.strerror}", where=_error_path(error), hint="check the permissions of this path"
            )
        case MemoryError():
            return _out_of_memory()
        case RuntimeError() if TORCH_OUT_OF_MEMORY in str(error):
            return _out_of_memory()
        case _:
            return None


def _out_of_memory() -> MachineFailure:
    return MachineFailure(
        "out of memory",
        hint="lower `tokens_per_pass:` under `train:`, or `batch:` under `evaluate:` in recipe.yaml",
    )


def _error_path(error: OSError) -> str:
    return "" if error.filename is None else str(error.filename)


def _save_traceback(error: BaseException) -> str:
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="tunesmith-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as failure:
        return f"hint: the traceback could not be saved ({failure.strerror}); free disk space and run the command again"
    return f"hint: please report this bug and attach {name}; finished stages are kept"


def _discard_stdout() -> None:
    """The reader of the pipe has closed it. Redirect stdout so that the flush at exit does not raise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
