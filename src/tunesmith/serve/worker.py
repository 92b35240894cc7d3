"""One thread runs the model. Requests wait in a FIFO queue and leave it when their client disconnects."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from tunesmith.errors import Interrupted, MachineFailure

T = TypeVar("T")

DISCONNECT_POLL_S = 0.25
"""Seconds between checks whether a waiting client has disconnected."""


class Busy(MachineFailure):
    """The queue is full; the client may retry."""

    http_status = 429


@dataclass
class Worker:
    """`waiting` counts the queued requests and the one in progress. A request beyond `limit` is rejected."""

    limit: int = 64
    waiting: int = 0
    stopping: Event = field(default_factory=Event)
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="tunesmith-model")
    )

    async def run(
        self, work: Callable[[], Iterator[T]], *, is_disconnected: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[T, None]:
        """Run `work()` in the model's thread and yield its items; its errors are raised here.

        The work is cancelled at its next item once `is_disconnected()` is true, the consumer closes this iterator, or the
        server stops. Raises Busy if the queue is full, and Interrupted if the work is cancelled.
        """
        if self.waiting >= self.limit:
            raise Busy(f"the queue is full: {self.waiting} requests are waiting", hint="try again in a moment")
        self.waiting += 1
        items: asyncio.Queue[T | None] = asyncio.Queue()
        cancelled = Event()
        future = self.pool.submit(self._feed, work, items, cancelled, asyncio.get_running_loop())
        try:
            while (item := await _next_item(items, is_disconnected)) is not None:
                yield item
            future.result()
            if self.stopping.is_set():
                raise Interrupted("the server is stopping")
        finally:
            cancelled.set()
            self.waiting -= 1

    def _feed(
        self,
        work: Callable[[], Iterator[T]],
        items: "asyncio.Queue[T | None]",
        cancelled: Event,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        try:
            if cancelled.is_set():
                return
            for item in work():
                if cancelled.is_set() or self.stopping.is_set():
                    return
                loop.call_soon_threadsafe(items.put_nowait, item)
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(items.put_nowait, None)

    def stop(self) -> None:
        """Cancel the answer in progress at its next token and every queued request."""
        self.stopping.set()
        self.pool.shutdown(wait=True, cancel_futures=True)


async def _next_item(items: "asyncio.Queue[T | None]", is_disconnected: Callable[[], Awaitable[bool]]) -> T | None:
    """The next item, None after the last. Raises Interrupted if the client disconnects while it waits."""
    while True:
        try:
            return await asyncio.wait_for(items.get(), DISCONNECT_POLL_S)
        except TimeoutError:
            if await is_disconnected():
                raise Interrupted("the client disconnected") from None
