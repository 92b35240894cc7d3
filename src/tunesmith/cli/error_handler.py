"""What happens when a verb cannot finish: one clear message on stderr and the right exit code, never a traceback."""

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
INTERRUPTED_MESSAGE: Final = "interrupted; finished stages are kept, run the same command to go on"
TORCH_OUT_OF_MEMORY: Final = "can't allocate memory"
"""What torch's CPU allocator says, as a RuntimeError, when memory is short."""


def handle_errors(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with every exception turned into a message and an exit code."""

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
    """Tell what went wrong, where, and what to do; return the exit code."""
    known = as_tunesmith_error(error)
    if isinstance(known, PeerFailed):
        return known.exit_code
    if known is None:
        kind = type(error).__name__
        first_line = str(error).strip().partition("\n")[0]
        _write_stderr(f"error: a fault in tunesmith: {kind}: {first_line}"[:400])
        _write_stderr(_save_traceback(error))
        return 1
    _write_stderr(f"error: {known.what}")
    if known.where:
        _write_stderr(f"where: {known.where}")
    if known.hint:
        _write_stderr(f"hint: {known.hint}")
    return known.exit_code


def as_tunesmith_error(error: BaseException) -> TunesmithError | None:
    """The error as one of the tree, or None when it is a fault of ours."""
    match error:
        case TunesmithError():
            return error
        case OSError() if error.errno in DISK_FULL_ERRORS:
            return MachineFailure("the disk is full", where=_error_path(error), hint="free some space and run again")
        case OSError() if error.errno in ACCESS_ERRORS:
            return MachineFailure(
                f"no access: {error.strerror}", where=_error_path(error), hint="check who may read and write there"
            )
        case MemoryError():
            return _out_of_memory()
        case RuntimeError() if TORCH_OUT_OF_MEMORY in str(error):
            return _out_of_memory()
        case _:
            return None


def _out_of_memory() -> MachineFailure:
    return MachineFailure(
        "the machine has too little memory",
        hint="set a smaller `tokens_per_pass` under train, or `batch` under evaluate",
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
        return f"hint: the details could not be written ({failure.strerror}); run it again with free disk space"
    return f"hint: please report it with {name}; finished stages are kept"


def _discard_stdout() -> None:
    """Whoever read our output has gone; without this the interpreter complains when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
