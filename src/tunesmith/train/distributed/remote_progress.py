"""The progress of a rank that Ray started, shown where the run was started: rank 0 tells, the driver's live view shows.

In between is an actor that keeps what was told until it is fetched. A loop is told as how far it has come and not item by
item, and both sides talk a few times a second, so that a fast loop is not held up.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from tunesmith.ports import Clock, Progress

T = TypeVar("T")
ProgressMessage = tuple[str, Any]
"""`("say", line)`, `("note", numbers)`, `("begin", (number, label, total))`, `("done", (number, items))`, `("end", number)`."""

POLL_SECONDS: Final = 0.2
"""Seconds between two messages of a loop, and between two looks at what has come."""

FINAL_READ_SECONDS: Final = 5.0
"""Seconds that the last look may take when the run has ended."""


class Mailbox(Protocol):
    """Where messages wait."""

    def put(self, messages: list[ProgressMessage]) -> None:
        """Leave messages; does not wait."""
        ...

    def take(self) -> list[ProgressMessage]:
        """All messages that have come, in order; they are gone afterwards."""
        ...


@dataclass
class RemoteProgress:
    """The Progress of rank 0 on a worker: what is told goes into a mailbox."""

    mailbox: Mailbox
    clock: Clock
    begun: int = 0
    noted: dict[str, float] = field(default_factory=dict)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items; tell that the loop begins, every so often how many are done, and that it has ended."""
        self.begun += 1
        number, done, told_at = self.begun, 0, self.clock.seconds()
        size = len(items) if total is None and isinstance(items, Sized) else total
        self._put(("begin", (number, label, size)))
        try:
            for item in items:
                yield item
                done += 1
                if (now := self.clock.seconds()) - told_at >= POLL_SECONDS:
                    told_at = now
                    self._put(("done", (number, done)))
        finally:
            self._put(("done", (number, done)), ("end", number))

    def note(self, numbers: Mapping[str, float]) -> None:
        """Numbers of the innermost loop; they go along with the next message, the latest alone."""
        self.noted = dict(numbers)

    def say(self, line: str) -> None:
        self._put(("say", line))

    def _put(self, *messages: ProgressMessage) -> None:
        noted: list[ProgressMessage] = [("note", self.noted)] if self.noted else []
        self.noted = {}
        self.mailbox.put([*noted, *messages])


@dataclass
class ProgressReplay:
    """What the messages of a rank make of the driver's own progress."""

    progress: Progress
    loops: dict[int, tuple[Iterator[int], int]] = field(default_factory=dict)

    def show(self, message: ProgressMessage) -> None:
        """One message."""
        kind, content = message
        match kind:
            case "say":
                self.progress.say(content)
            case "note":
                self.progress.note(content)
            case "begin":
                number, label, total = content
                items = self.progress.track(_endless(), label=label, total=total)
                self.loops[number] = (items, next(items))
            case "done":
                self._go_on(*content)
            case "end":
                self._end(content)

    def close(self) -> None:
        """End the loops that were never told to have ended, the innermost first."""
        for number in sorted(self.loops, reverse=True):
            self._end(number)

    def _go_on(self, number: int, done: int) -> None:
        items, at = self.loops[number]
        while at < done:
            at = next(items)
        self.loops[number] = (items, at)

    def _end(self, number: int) -> None:
        items, _ = self.loops.pop(number)
        close = getattr(items, "close", None)
        if close is not None:
            close()


@contextmanager
def replay_progress(mailbox: Mailbox, progress: Progress) -> Iterator[None]:
    """Within it, what comes into the mailbox is shown by a thread of its own; at the end whatever is left."""
    view, over = ProgressReplay(progress), threading.Event()

    def look() -> None:
        last = False
        while not last:
            last = over.wait(POLL_SECONDS)
            for message in mailbox.take():
                view.show(message)
        view.close()

    thread = threading.Thread(target=look, name="tunesmith-relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(FINAL_READ_SECONDS)


def _endless() -> Iterator[int]:
    """0, 1, 2, ...: the driver does not have the items, only their number."""
    number = 0
    while True:
        yield number
        number += 1
