"""The two streams: data goes to stdout, talk to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunesmith.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH_COLUMNS = 120
"""Columns of what is written to a file or a pipe."""


def message_console() -> "Console":
    """Where talk goes: stderr."""
    return _console(stderr=True)


def data_console() -> "Console":
    """Where a table that was asked for goes: stdout."""
    return _console(stderr=False)


def write_data(data: bytes) -> None:
    """Bytes and a newline on stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def write_line(line: str) -> None:
    """One line on stdout."""
    write_data(line.encode("utf-8"))


def write_message(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A Progress on stderr that leaves no live line behind, however the block ends."""
    from tunesmith.cli.progress import TerminalProgress
    from tunesmith.context import SilentProgress, SystemClock

    if quiet:
        yield SilentProgress()
        return
    talk = TerminalProgress(message_console(), SystemClock())
    try:
        yield talk
    finally:
        talk.close()


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE_WIDTH_COLUMNS)
