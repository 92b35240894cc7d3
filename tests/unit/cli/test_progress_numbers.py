"""Loops with numbers: one line per minute with the loss, and a second line on a terminal."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pytest
from rich.console import Console

from tunesmith.cli.progress import TerminalProgress, format_notes, share_and_time_left
from tunesmith.context import SilentProgress


@dataclass
class Hand:
    """A clock that the loop advances."""

    reading: float = field(default=0.0)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        return self.reading


def printed_lines(items: int, *, step: float, noted: bool = True) -> list[str]:
    """Lines written for `items` steps of `step` seconds each, with their loss."""
    stream, clock = io.StringIO(), Hand()
    progress = TerminalProgress(Console(file=stream, width=120), clock)
    for item in progress.track(range(items), label="train"):
        clock.reading += step
        if noted:
            progress.note({"loss": 3.0 - item / items, "rate": 0.0005, "tokens/s": 3120.4})
    progress.close()
    return stream.getvalue().splitlines()


def test_an_hour_has_a_line_a_minute_with_the_loss() -> None:
    lines = printed_lines(3600, step=1.0)
    assert len(lines) == 60
    assert lines[0] == "train: 2/3600 (0%), 1.0/s, 59 min 58 s left; loss 3, rate 0.0005, tokens/s 3,120"
    assert lines[1].startswith("train: 62/3600 (2%), 1.0/s, 58 min 58 s left; loss 2.983, ")
    assert all("loss" in line for line in lines)


def test_without_numbers_an_hour_has_ten_lines() -> None:
    assert len(printed_lines(3600, step=1.0, noted=False)) == 10


def test_a_quick_loop_still_shows_nothing() -> None:
    assert printed_lines(1000, step=0.0019) == []


def test_a_long_line_is_not_broken() -> None:
    stream, clock = io.StringIO(), Hand()
    progress = TerminalProgress(Console(file=stream, width=120), clock)
    for _ in progress.track(range(1), label="train"):
        clock.reading += 5.0
        progress.note({f"number {place}": 1.0 for place in range(20)})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("number 19 1")


def test_a_terminal_gets_the_numbers_below_the_bar() -> None:
    clock = Hand()
    progress = TerminalProgress(Console(file=io.StringIO(), width=120, force_terminal=True), clock)
    for item in progress.track(range(50), label="train"):
        clock.reading += 1.0
        progress.note({"loss": 3.0 - item / 50, "tokens/s": 3120.4})
        if item == 40:
            page = Console(file=io.StringIO(), width=120)
            page.print(progress.live.get_renderable())
            bar, numbers = page.file.getvalue().splitlines()
    assert bar.startswith("train") and "40/50" in bar
    assert numbers.strip() == "loss 2.22, tokens/s 3,120"
    assert progress.live.tasks == []


@dataclass
class Files:
    """Sixteen batches of rows; each is a sixteenth of the files."""

    clock: Hand
    step: float
    known: bool = True
    read: int = 0

    def __iter__(self) -> Iterator[int]:
        for self.read in range(1, 17):
            self.clock.reading += self.step
            yield self.read

    def share(self) -> float | None:
        return self.read / 16 if self.known else None


def told_of(*, known: bool) -> list[str]:
    stream, clock = io.StringIO(), Hand()
    progress = TerminalProgress(Console(file=stream, width=120), clock)
    for batch in progress.track(Files(clock, 4.0, known), label="read train"):
        progress.note({"rows": batch * 8192, "rows/s": 2048})
    return stream.getvalue().splitlines()


def test_measured_items_show_share_and_time_left() -> None:
    """64 seconds in total: after the first 4, 60 are left."""
    lines = told_of(known=True)
    assert lines[0] == "read train: 6%, 60 s left; rows 8,192, rows/s 2,048"
    assert lines[1] == "read train: 19%, 52 s left; rows 24,576, rows/s 2,048"
    assert [line.split(";")[0].partition(", ")[2] for line in lines] == [f"{left} s left" for left in range(60, 0, -8)]


def test_without_a_known_size_no_time_left_is_shown() -> None:
    lines = told_of(known=False)
    assert lines[0] == "read train: 1, 4.0 s each; rows 8,192, rows/s 2,048"
    assert not any("left" in line for line in lines)


def test_a_terminal_shows_the_share_and_the_time_left() -> None:
    clock = Hand()
    progress = TerminalProgress(Console(file=io.StringIO(), width=120, force_terminal=True), clock)
    for batch in progress.track(Files(clock, 4.0), label="read train"):
        progress.note({"rows": batch * 8192})
        if batch == 13:
            page = Console(file=io.StringIO(), width=120)
            page.print(progress.live.get_renderable())
            bar, numbers = page.file.getvalue().splitlines()
    assert bar.startswith("read train") and bar.rstrip().endswith(" 75%, 16 s left")
    assert numbers.strip() == "rows 98,304"


def test_no_time_left_is_shown_at_zero_percent() -> None:
    assert share_and_time_left(0.0, 5.0) == "0%"


def test_numbers_belong_to_the_innermost_loop() -> None:
    stream, clock = io.StringIO(), Hand()
    progress = TerminalProgress(Console(file=stream, width=120), clock)
    for _ in progress.track(range(1), label="outer"):
        for _ in progress.track(range(1), label="inner"):
            clock.reading += 3.0
            progress.note({"loss": 1.0})
    assert [line.split(":")[0] for line in stream.getvalue().splitlines() if "loss" in line] == ["inner"]
    progress.note({"loss": 1.0})
    assert progress.displays == []


def test_an_abandoned_loop_is_no_longer_tracked() -> None:
    progress = TerminalProgress(Console(file=io.StringIO(), width=120), Hand())
    loop = progress.track(range(3), label="train")
    next(loop)
    assert len(progress.displays) == 1
    loop.close()
    assert progress.displays == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0001, "x 0.0001"), (1e-05, "x 1e-05"), (1.23456, "x 1.235"), (999.9, "x 999.9"), (1e6, "x 1,000,000")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_notes({"x": value}) == text


def test_silent_progress_accepts_numbers() -> None:
    SilentProgress().note({"loss": 1.0})
