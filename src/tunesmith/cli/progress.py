"""Progress on stderr: a live bar on a terminal, plain lines elsewhere, nothing for loops under two seconds.

Numbers of a loop, such as training loss and speed, appear below the bar, or at the end of the plain lines. A loop with numbers
prints at least one plain line per minute.
"""

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from tunesmith.ports import Clock, MeasuredItems

T = TypeVar("T")
SECONDS_BEFORE_PROGRESS: Final = 2.0
"""Loops shorter than this show nothing."""

MIN_SHARE_PER_LINE: Final = 0.1
"""Share of the work between two plain lines."""

MAX_SECONDS_PER_LINE: Final = 60.0
"""A loop with numbers prints a plain line at least this often."""


class LoopDisplay(Protocol):
    """Progress display of one loop."""

    def note(self, numbers: Mapping[str, float]) -> None:
        """Set the numbers shown next to the progress."""
        ...

    def update(self, done: int, seconds: float, *, share: float | None = None) -> None:
        """Update to `done` items after `seconds` seconds, or to `share` (0 to 1) of the work when the total is unknown."""
        ...

    def close(self) -> None: ...


@dataclass
class PlainDisplay:
    """Plain lines: one after two seconds, then one per tenth of the work, or each time the elapsed time doubles if the total is
    unknown. With numbers, also one per minute.
    """

    console: Console
    label: str
    total: int | None
    shown_at: float = 0.0
    shown_done: int = 0
    shown_share: float = 0.0
    notes: str = ""

    def note(self, numbers: Mapping[str, float]) -> None:
        self.notes = format_notes(numbers)

    def update(self, done: int, seconds: float, *, share: float | None = None) -> None:
        minute_passed = bool(self.notes) and seconds - self.shown_at >= MAX_SECONDS_PER_LINE
        if seconds < SECONDS_BEFORE_PROGRESS or not (
            self._is_due(done, seconds, share) or minute_passed or self.shown_done == 0
        ):
            return
        self.shown_at, self.shown_done, self.shown_share = seconds, done, share or 0.0
        line = plain_line(self.label, done, self.total, seconds=seconds, share=share)
        line = f"{line}; {self.notes}" if self.notes else line
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _is_due(self, done: int, seconds: float, share: float | None) -> bool:
        if share is not None:
            return share - self.shown_share >= MIN_SHARE_PER_LINE
        return done - self.shown_done >= MIN_SHARE_PER_LINE * self.total if self.total else seconds >= 2 * self.shown_at

    def close(self) -> None:
        return None


@dataclass
class BarDisplay:
    """A bar that appears after two seconds and disappears when the loop ends."""

    live: RichProgress
    label: str
    total: int | None
    task: TaskID | None = None
    notes: str = ""

    def note(self, numbers: Mapping[str, float]) -> None:
        self.notes = format_notes(numbers)

    def update(self, done: int, seconds: float, *, share: float | None = None) -> None:
        if seconds < SECONDS_BEFORE_PROGRESS:
            return
        if self.task is None:
            self.live.start()
            self.task = self.live.add_task(self.label, total=self.total)
        completed, total = (done, self.total) if share is None else (share, 1.0)
        self.live.update(self.task, completed=completed, total=total, share=share, seconds=seconds, note=self.notes)

    def close(self) -> None:
        if self.task is None:
            return
        self.live.remove_task(self.task)
        self.task = None
        if not self.live.tasks:
            self.live.stop()


class AnnotatedBars(RichProgress):
    """Rich progress bars, each with its numbers on the line below."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if notes := task.fields.get("note"):
                yield Text(f"  {notes}", style="dim")


class RateColumn(ProgressColumn):
    """Items done, average rate and time left; or share done and time left."""

    items: Final = MofNCompleteColumn()
    remaining: Final = TimeRemainingColumn()

    def render(self, task: Task) -> Text:
        share, seconds = task.fields.get("share"), float(task.fields.get("seconds", 0.0))
        if share is not None:
            return Text(share_and_time_left(share, seconds))
        rate = "" if seconds <= 0 else format_rate(task.completed, seconds)
        return Text(" ").join([self.items.render(task), Text(rate), self.remaining.render(task)])


@dataclass(frozen=True)
class TerminalProgress:
    """Progress for the command line. `close` removes a live bar so that a message can follow."""

    console: Console
    clock: Clock
    live: RichProgress = field(init=False)
    displays: list[LoopDisplay] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), RateColumn())
        live = AnnotatedBars(*columns, console=self.console, refresh_per_second=4, transient=True)
        object.__setattr__(self, "live", live)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items and, after two seconds, show how many are done, the rate and the time left."""
        size = len(items) if total is None and isinstance(items, Sized) else total
        display = self._display(label, size)
        start = self.clock.seconds()
        self.displays.append(display)
        try:
            for done, item in enumerate(items, 1):
                yield item
                share = items.share() if isinstance(items, MeasuredItems) else None
                display.update(done, self.clock.seconds() - start, share=share)
        finally:
            self.displays[:] = [other for other in self.displays if other is not display]
            display.close()

    def note(self, numbers: Mapping[str, float]) -> None:
        """Set the numbers of the innermost tracked loop. Ignored when no loop is tracked."""
        if self.displays:
            self.displays[-1].note(numbers)

    def _display(self, label: str, total: int | None) -> LoopDisplay:
        if self.console.is_terminal:
            return BarDisplay(self.live, label, total)
        return PlainDisplay(self.console, label, total)

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self.live.live.is_started:
            self.live.stop()


def plain_line(label: str, done: int, total: int | None, *, seconds: float, share: float | None = None) -> str:
    """E.g. `train: 120/1200 (10%), 34.2/s, 32 s left`, or with a share `read train: 40%, 12 s left`."""
    if share is not None:
        return f"{label}: {share_and_time_left(share, seconds)}"
    rate = format_rate(done, seconds)
    if not total:
        return f"{label}: {done}, {rate}"
    left = (total - done) * seconds / done
    return f"{label}: {done}/{total} ({done / total:.0%}), {rate}, {format_duration(left)} left"


def share_and_time_left(share: float, seconds: float) -> str:
    """E.g. `40%, 12 s left`. At 0% the time left is unknown and omitted."""
    return f"{share:.0%}, {format_duration(seconds * (1 - share) / share)} left" if share > 0 else "0%"


def format_notes(numbers: Mapping[str, float]) -> str:
    """E.g. `loss 1.234, rate 0.0008, tokens/s 3,120`."""
    return ", ".join(f"{name} {_format_number(value)}" for name, value in numbers.items())


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def format_rate(done: float, seconds: float) -> str:
    """Items per second, or seconds per item below one item per second."""
    if done <= 0:
        return ""
    return f"{done / seconds:.1f}/s" if done >= seconds else f"{seconds / done:.1f} s each"


def format_duration(seconds: float) -> str:
    """E.g. `45 s` or `3 min 05 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"
