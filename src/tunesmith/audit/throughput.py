"""Pace: how fast an audit goes, told to whoever waits beside how far it has come."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tunesmith.context import Context

S = TypeVar("S", bound=Sized)
T = TypeVar("T")
RATE_KEY: Final = "rows/s"


@dataclass(frozen=True)
class MeasuredIterable(Generic[T]):
    """Items with the share of the work that is done: a `ports.Measured`."""

    items: Iterable[T]
    read: Callable[[], float | None]

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def share(self) -> float | None:
        return self.read()


def track_batches(
    batches: Iterable[S], context: Context, *, label: str, share: Callable[[], float | None] = lambda: None
) -> Iterator[S]:
    """The batches, with rows so far and rows a second; `share` says how much of the work is done, where that is known."""
    started, rows = context.clock.seconds(), 0
    for batch in context.progress.track(MeasuredIterable(batches, share), label=label):
        yield batch
        rows += len(batch)
        context.progress.note({"rows": rows, **_rows_per_second(rows, context.clock.seconds() - started)})


def track_steps(steps: Sequence[T], context: Context, *, label: str, rows: int) -> Iterator[T]:
    """The steps, each of which goes over all rows: rows a second are those of all steps at the pace so far."""
    started = context.clock.seconds()
    for done, step in enumerate(context.progress.track(steps, label=label, total=len(steps)), 1):
        yield step
        context.progress.note(_rows_per_second(rows * done / len(steps), context.clock.seconds() - started))


def _rows_per_second(rows: float, seconds: float) -> dict[str, float]:
    return {RATE_KEY: round(rows / seconds)} if seconds > 0 else {}
