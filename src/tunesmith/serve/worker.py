"""One thread runs the model; requests wait in line, first come, first served, and leave when their client does."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from tunesmith.errors import Interrupted, MachineFailure

T = TypeVar("T")

DISCONNECT_POLL_S = 0.25
"""Seconds between two looks whether a silent client is still there."""


class Busy(MachineFailure):
    """The line is full; the client may try again."""

    http_status = 429


@dataclass
class Worker:
    """`waiting` counts the requests in line and the one being answered; more than `limit` are refused."""

    limit: int = 64
    waiting: int = 0
    stopping: Event = field(default_factory=Event)
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="tunesmith-model")
    )

    async def run(
        self, work: Callable[[], Iterator[T]], *, gone: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[T, None]:
        """Yield what `work()` yields in the model's thread; what it raises is raised here.

        It is dropped at its next item once `gone()` is true, the consumer closes this iterator, or the server stops.
        Raises Busy, and Interrupted when dropped.
        """
        if self.waiting >= self.limit:
            raise Busy(f"{self.waiting} requests are waiting", hint="try again in a moment")
        self.waiting += 1
        items: asyncio.Queue[T | None] = asyncio.Queue()
        cancelled = Event()
        future = self.pool.submit(self._feed, work, items, cancelled, asyncio.get_running_loop())
        try:
            while (item := await _next_item(items, gone)) is not None:
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
        """End the answer in progress at its next token, and drop the line."""
        self.stopping.set()
        self.pool.shutdown(wait=True, cancel_futures=True)


async def _next_item(items: "asyncio.Queue[T | None]", gone: Callable[[], Awaitable[bool]]) -> T | None:
    """The next item, None after the last. Raises Interrupted when the client leaves while it waits."""
    while True:
        try:
            return await asyncio.wait_for(items.get(), DISCONNECT_POLL_S)
        except TimeoutError:
            if await gone():
                raise Interrupted("the client is gone") from None
