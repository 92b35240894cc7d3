"""Progress of an audit with its throughput in rows per second."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tunesmith.context import Context

S = TypeVar("S", bound=Sized)
T = TypeVar("T")
RATE_KEY: Final = "rows/s"


@dataclass(frozen=True)
class MeasuredIterable(Generic[T]):
    """An iterable that reports the share of work done: a `ports.Measured`."""

    items: Iterable[T]
    read_share: Callable[[], float | None]

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def share(self) -> float | None:
        return self.read_share()


def track_batches(
    batches: Iterable[S], context: Context, *, label: str, share: Callable[[], float | None] = lambda: None
) -> Iterator[S]:
    """Yield the batches and report rows so far and rows per second; `share` returns the share of work done if known."""
    started, rows = context.clock.seconds(), 0
    for batch in context.progress.track(MeasuredIterable(batches, share), label=label):
        yield batch
        rows += len(batch)
        context.progress.note({"rows": rows, **_rows_per_second(rows, context.clock.seconds() - started)})


def track_steps(steps: Sequence[T], context: Context, *, label: str, rows: int) -> Iterator[T]:
    """Yield the steps, each of which processes all rows, and report rows per second of the whole at the speed so far."""
    started = context.clock.seconds()
    for done, step in enumerate(context.progress.track(steps, label=label, total=len(steps)), 1):
        yield step
        context.progress.note(_rows_per_second(rows * done / len(steps), context.clock.seconds() - started))


def _rows_per_second(rows: float, seconds: float) -> dict[str, float]:
    return {RATE_KEY: round(rows / seconds)} if seconds > 0 else {}
