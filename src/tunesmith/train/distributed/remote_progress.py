"""Progress of a remote rank 0, replayed on the driver: the rank sends messages to a mailbox, the driver polls and shows them.

A loop sends how many items are done, not one message per item, and both sides talk a few times per second: a fast loop is not
slowed down.
"""

import itertools
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
"""Seconds between two messages of a loop, and between two polls of the mailbox."""

FINAL_READ_SECONDS: Final = 5.0
"""Seconds to wait for the last messages after the run has ended."""


class Mailbox(Protocol):
    """A queue of messages between processes."""

    def put(self, messages: list[ProgressMessage]) -> None:
        """Add messages, without waiting for delivery."""
        ...

    def take(self) -> list[ProgressMessage]:
        """Remove and return all messages, in order of arrival."""
        ...


@dataclass
class RemoteProgress:
    """The Progress of rank 0 on a worker; it sends every event to a mailbox."""

    mailbox: Mailbox
    clock: Clock
    loops_started: int = 0
    pending_note: dict[str, float] = field(default_factory=dict)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items. Sends the start of the loop, the count of finished items every POLL_SECONDS, and the end."""
        self.loops_started += 1
        number, done, sent_at = self.loops_started, 0, self.clock.seconds()
        size = len(items) if total is None and isinstance(items, Sized) else total
        self._put(("begin", (number, label, size)))
        try:
            for item in items:
                yield item
                done += 1
                if (now := self.clock.seconds()) - sent_at >= POLL_SECONDS:
                    sent_at = now
                    self._put(("done", (number, done)))
        finally:
            self._put(("done", (number, done)), ("end", number))

    def note(self, numbers: Mapping[str, float]) -> None:
        """Numbers of the innermost loop; only the latest are sent, with the next message."""
        self.pending_note = dict(numbers)

    def say(self, line: str) -> None:
        self._put(("say", line))

    def _put(self, *messages: ProgressMessage) -> None:
        note: list[ProgressMessage] = [("note", self.pending_note)] if self.pending_note else []
        self.pending_note = {}
        self.mailbox.put([*note, *messages])


@dataclass
class ProgressReplay:
    """Replays the messages of a rank on the driver's own Progress."""

    progress: Progress
    loops: dict[int, tuple[Iterator[int], int]] = field(default_factory=dict)

    def replay(self, message: ProgressMessage) -> None:
        """Replay one message."""
        kind, content = message
        match kind:
            case "say":
                self.progress.say(content)
            case "note":
                self.progress.note(content)
            case "begin":
                number, label, total = content
                items = self.progress.track(itertools.count(), label=label, total=total)
                self.loops[number] = (items, next(items))
            case "done":
                self._advance(*content)
            case "end":
                self._end(content)

    def close(self) -> None:
        """End the loops whose end never arrived, innermost first."""
        for number in sorted(self.loops, reverse=True):
            self._end(number)

    def _advance(self, number: int, done: int) -> None:
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
    """Replay messages from the mailbox in a background thread while the block runs, and the remaining ones at its end."""
    replay, ended = ProgressReplay(progress), threading.Event()

    def poll() -> None:
        last = False
        while not last:
            last = ended.wait(POLL_SECONDS)
            for message in mailbox.take():
                replay.replay(message)
        replay.close()

    thread = threading.Thread(target=poll, name="tunesmith-relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(FINAL_READ_SECONDS)
