"""Progress on stderr: a live line on a terminal, plain lines elsewhere; nothing for what takes under two seconds.

A loop that tells numbers (training: its loss, its speed) has them in a second line on a terminal, and at the end of its plain
lines, of which there is then one a minute at least.
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
"""Seconds before anything is shown."""

MIN_SHARE_PER_LINE: Final = 0.1
"""A plain line is written when at least this share of the work was done since the last one."""

MAX_SECONDS_PER_LINE: Final = 60.0
"""Seconds after which a loop that tells numbers gets a plain line, however little of its work was done."""


class LoopDisplay(Protocol):
    """Shows how far one loop has come."""

    def note(self, numbers: Mapping[str, float]) -> None:
        """What to show beside it from now on."""
        ...

    def at(self, done: int, seconds: float, *, share: float | None = None) -> None:
        """`done` items after `seconds` seconds; `share` of the work, where that is what is known."""
        ...

    def close(self) -> None: ...


@dataclass
class PlainDisplay:
    """A line after two seconds, then one for every tenth of the work, or whenever the time has doubled if that is unknown.

    With numbers to tell, also one whenever a minute has gone by.
    """

    console: Console
    label: str
    total: int | None
    shown_at: float = 0.0
    shown_done: int = 0
    shown_share: float = 0.0
    noted: str = ""

    def note(self, numbers: Mapping[str, float]) -> None:
        self.noted = format_notes(numbers)

    def at(self, done: int, seconds: float, *, share: float | None = None) -> None:
        late = bool(self.noted) and seconds - self.shown_at >= MAX_SECONDS_PER_LINE
        if seconds < SECONDS_BEFORE_PROGRESS or not (self._due(done, seconds, share) or late or self.shown_done == 0):
            return
        self.shown_at, self.shown_done, self.shown_share = seconds, done, share or 0.0
        line = plain_line(self.label, done, self.total, seconds=seconds, share=share)
        line = f"{line}; {self.noted}" if self.noted else line
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _due(self, done: int, seconds: float, share: float | None) -> bool:
        if share is not None:
            return share - self.shown_share >= MIN_SHARE_PER_LINE
        return done - self.shown_done >= MIN_SHARE_PER_LINE * self.total if self.total else seconds >= 2 * self.shown_at

    def close(self) -> None:
        return None


@dataclass
class BarDisplay:
    """A bar that appears after two seconds and goes when the loop ends."""

    live: RichProgress
    label: str
    total: int | None
    task: TaskID | None = None
    noted: str = ""

    def note(self, numbers: Mapping[str, float]) -> None:
        self.noted = format_notes(numbers)

    def at(self, done: int, seconds: float, *, share: float | None = None) -> None:
        if seconds < SECONDS_BEFORE_PROGRESS:
            return
        if self.task is None:
            self.live.start()
            self.task = self.live.add_task(self.label, total=self.total)
        completed, total = (done, self.total) if share is None else (share, 1.0)
        self.live.update(self.task, completed=completed, total=total, share=share, seconds=seconds, note=self.noted)

    def close(self) -> None:
        if self.task is None:
            return
        self.live.remove_task(self.task)
        self.task = None
        if not self.live.tasks:
            self.live.stop()


class AnnotatedBars(RichProgress):
    """Rich's bars, each with its numbers in a line below."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if noted := task.fields.get("note"):
                yield Text(f"  {noted}", style="dim")


class RateColumn(ProgressColumn):
    """Items done, items a second since the loop began and the time left; or the share that is done, and the time left."""

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
    """The Progress of the command line. `close` takes a live line away, so that a message can follow it."""

    console: Console
    clock: Clock
    live: RichProgress = field(init=False)
    meters: list[LoopDisplay] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), RateColumn())
        live = AnnotatedBars(*columns, console=self.console, refresh_per_second=4, transient=True)
        object.__setattr__(self, "live", live)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items; from the third second on, show done, total, rate and time left, or the share done and time left."""
        size = len(items) if total is None and isinstance(items, Sized) else total
        meter = self._meter(label, size)
        start = self.clock.seconds()
        self.meters.append(meter)
        try:
            for done, item in enumerate(items, 1):
                yield item
                share = items.share() if isinstance(items, MeasuredItems) else None
                meter.at(done, self.clock.seconds() - start, share=share)
        finally:
            self.meters[:] = [other for other in self.meters if other is not meter]
            meter.close()

    def note(self, numbers: Mapping[str, float]) -> None:
        """Numbers of the innermost loop that is being tracked; without one they are dropped."""
        if self.meters:
            self.meters[-1].note(numbers)

    def _meter(self, label: str, total: int | None) -> LoopDisplay:
        if self.console.is_terminal:
            return BarDisplay(self.live, label, total)
        return PlainDisplay(self.console, label, total)

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self.live.live.is_started:
            self.live.stop()


def plain_line(label: str, done: int, total: int | None, *, seconds: float, share: float | None = None) -> str:
    """E.g. `train: 120/1200 (10%), 34.2/s, 32 s left`, or of a share `read train: 40%, 12 s left`."""
    if share is not None:
        return f"{label}: {share_and_time_left(share, seconds)}"
    rate = format_rate(done, seconds)
    if not total:
        return f"{label}: {done}, {rate}"
    left = (total - done) * seconds / done
    return f"{label}: {done}/{total} ({done / total:.0%}), {rate}, {format_duration(left)} left"


def share_and_time_left(share: float, seconds: float) -> str:
    """E.g. `40%, 12 s left`; no time at 0%, from which nothing follows."""
    return f"{share:.0%}, {format_duration(seconds * (1 - share) / share)} left" if share > 0 else "0%"


def format_notes(numbers: Mapping[str, float]) -> str:
    """E.g. `loss 1.234, rate 0.0008, tokens/s 3,120`."""
    return ", ".join(f"{name} {_format_number(value)}" for name, value in numbers.items())


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def format_rate(done: float, seconds: float) -> str:
    """Items a second, or seconds an item when it is less than one a second."""
    if done <= 0:
        return ""
    return f"{done / seconds:.1f}/s" if done >= seconds else f"{seconds / done:.1f} s each"


def format_duration(seconds: float) -> str:
    """Seconds as a person says them."""
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"
