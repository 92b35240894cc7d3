"""Progress: silent for short loops, about ten lines for long ones, with correct numbers."""

import io
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pytest
from rich.console import Console

from tunesmith.cli.progress import TerminalProgress, format_duration, plain_line


@dataclass
class Steps:
    """A clock that advances by a fixed number of seconds at every reading."""

    step: float
    reading: float = field(default=0.0)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        self.reading += self.step
        return self.reading


def printed_lines(items: int, *, step: float, sized: bool = True, terminal: bool = False) -> list[str]:
    """Lines written for `items` items of `step` seconds each."""
    stream = io.StringIO()
    progress = TerminalProgress(Console(file=stream, width=120, force_terminal=terminal), Steps(step))
    source = range(items) if sized else iter(range(items))
    assert list(progress.track(source, label="train")) == list(range(items))
    progress.close()
    return stream.getvalue().splitlines()


def test_under_two_seconds_nothing_is_shown() -> None:
    assert printed_lines(1000, step=0.0019) == []
    assert printed_lines(1000, step=0.0019, terminal=True) == []


def test_a_long_loop_shows_about_ten_lines() -> None:
    lines = printed_lines(1000, step=1.0)
    assert len(lines) == 10
    assert lines[:2] == [
        "train: 2/1000 (0%), 1.0/s, 16 min 38 s left",
        "train: 102/1000 (10%), 1.0/s, 14 min 58 s left",
    ]


def test_a_few_slow_items_each_get_a_line() -> None:
    assert printed_lines(3, step=30.0) == [
        "train: 1/3 (33%), 30.0 s each, 60 s left",
        "train: 2/3 (67%), 30.0 s each, 30 s left",
        "train: 3/3 (100%), 30.0 s each, 0 s left",
    ]


def test_without_a_total_lines_come_at_doubling_times() -> None:
    assert printed_lines(1000, step=1.0, sized=False) == [f"train: {2**n}, 1.0/s" for n in range(1, 10)]


def test_a_terminal_gets_a_live_line() -> None:
    written = "".join(printed_lines(50, step=1.0, terminal=True))
    assert "train" in written and "/50" in written


def test_an_abandoned_loop_leaves_no_live_line() -> None:
    progress = TerminalProgress(Console(file=io.StringIO(), width=120, force_terminal=True), Steps(3.0))
    loop = progress.track(range(10), label="train")
    next(loop), next(loop), next(loop)
    assert len(progress.live.tasks) == 1
    loop.close()
    assert progress.live.tasks == []
    assert not progress.live.live.is_started


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min 00 s"), (3725, "62 min 05 s")]
)
def test_durations(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_a_line_without_a_total() -> None:
    assert plain_line("read", 500, None, seconds=2.0) == "read: 500, 250.0/s"
