"""What is told of the pace: rows a second while reading, and over all checks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TypeVar

from tunesmith.audit.pace import counted, shared
from tunesmith.context import Context

T = TypeVar("T")


@dataclass
class Ticking:
    """A clock that goes on by one second whenever it is asked."""

    second: float = -1.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        self.second += 1
        return self.second


@dataclass
class Told:
    """Progress that remembers what it was told."""

    tracked: list[tuple[str, int | None]] = field(default_factory=list)
    notes: list[dict[str, float]] = field(default_factory=list)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        self.tracked.append((label, total))
        yield from items

    def note(self, numbers: Mapping[str, float]) -> None:
        self.notes.append(dict(numbers))

    def say(self, line: str) -> None:
        raise AssertionError(line)


def test_rows_are_counted_while_reading(context: Context) -> None:
    told = Told()
    batches = [["a", "b", "c"], ["d"]]
    assert list(counted(batches, replace(context, progress=told, clock=Ticking()), label="read")) == batches
    assert told.tracked == [("read", None)]
    assert told.notes == [{"rows": 3, "rows/s": 3}, {"rows": 4, "rows/s": 2}]


def test_checks_share_the_rows(context: Context) -> None:
    told = Told()
    steps = shared(["x", "y"], replace(context, progress=told, clock=Ticking()), label="audit", rows=100)
    assert list(steps) == ["x", "y"]
    assert told.tracked == [("audit", 2)]
    assert told.notes == [{"rows/s": 50}, {"rows/s": 50}]


def test_no_steps_are_no_pace(context: Context) -> None:
    assert list(shared([], context, label="audit", rows=0)) == []
