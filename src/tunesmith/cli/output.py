"""Output streams: data goes to stdout, messages to stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunesmith.ports import Progress

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH_COLUMNS = 120
"""Line width when the output is a file or a pipe."""


def message_console() -> "Console":
    """Console for messages, on stderr."""
    return _console(stderr=True)


def data_console() -> "Console":
    """Console for requested tables, on stdout."""
    return _console(stderr=False)


def count_noun(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_data(data: bytes) -> None:
    """Write bytes and a newline to stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def write_line(line: str) -> None:
    """Write one line to stdout."""
    write_data(line.encode("utf-8"))


def write_message(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def print_heading(console: "Console", line: str, *, style: str = "bold") -> None:
    """Print an empty line, then `line` in bold."""
    from rich.text import Text

    console.print()
    console.print(Text(line, style=style), soft_wrap=True)


def print_indented(console: "Console", line: str) -> None:
    """Print `line` indented by two spaces, without wrapping."""
    from rich.text import Text

    console.print(Text(f"  {line}"), soft_wrap=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Progress on stderr for the duration of the block; a live bar is always removed at the end."""
    from tunesmith.cli.progress import TerminalProgress
    from tunesmith.context import SilentProgress, SystemClock

    if quiet:
        yield SilentProgress()
        return
    terminal = TerminalProgress(message_console(), SystemClock())
    try:
        yield terminal
    finally:
        terminal.close()


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PIPE_WIDTH_COLUMNS)
