"""Pace: how fast an audit goes, told to whoever waits beside how far it has come."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Final, TypeVar

from tunesmith.context import Context

S = TypeVar("S", bound=Sized)
T = TypeVar("T")
RATE: Final = "rows/s"


def counted(batches: Iterable[S], context: Context, *, label: str) -> Iterator[S]:
    """The batches, with rows so far and rows a second."""
    started, rows = context.clock.seconds(), 0
    for batch in context.progress.track(batches, label=label):
        yield batch
        rows += len(batch)
        context.progress.note({"rows": rows, **_rate(rows, context.clock.seconds() - started)})


def shared(steps: Sequence[T], context: Context, *, label: str, rows: int) -> Iterator[T]:
    """The steps, each of which goes over all rows: rows a second are those of all steps at the pace so far."""
    started = context.clock.seconds()
    for done, step in enumerate(context.progress.track(steps, label=label, total=len(steps)), 1):
        yield step
        context.progress.note(_rate(rows * done / len(steps), context.clock.seconds() - started))


def _rate(rows: float, seconds: float) -> dict[str, float]:
    return {RATE: round(rows / seconds)} if seconds > 0 else {}
