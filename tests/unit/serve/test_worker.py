"""One at a time, in order, and dropped when nobody waits for it."""

import asyncio
from threading import Event

import pytest

from tunesmith.errors import DataError, Interrupted
from tunesmith.serve.worker import Busy, Worker


async def here() -> bool:
    return False


async def left() -> bool:
    return True


async def all_of(worker, work, is_disconnected=here):
    return [item async for item in worker.run(work, is_disconnected=is_disconnected)]


def in_worker(test, **settings):
    worker = Worker(**settings)
    try:
        return asyncio.run(test(worker))
    finally:
        worker.stop()


def test_requests_are_answered_one_after_another():
    order = []

    def work(name):
        for step in range(3):
            order.append((name, step))
            yield step

    async def test(worker):
        found = await asyncio.gather(*[all_of(worker, lambda name=name: work(name)) for name in "abc"])
        assert found == [[0, 1, 2]] * 3
        assert order == [(name, step) for name in "abc" for step in range(3)]
        assert worker.waiting == 0

    in_worker(test)


def test_an_error_of_the_work_reaches_the_caller():
    def work():
        yield 1
        raise DataError("no room")

    async def test(worker):
        with pytest.raises(DataError, match="no room"):
            await all_of(worker, work)
        assert worker.waiting == 0
        assert await all_of(worker, lambda: iter([5])) == [5]

    in_worker(test)


def test_work_is_dropped_when_its_client_is_gone():
    go_on, steps = Event(), []

    def work():
        go_on.wait(10)
        for step in range(1000):
            steps.append(step)
            yield step

    async def test(worker):
        with pytest.raises(Interrupted, match="client disconnected"):
            await all_of(worker, work, is_disconnected=left)
        go_on.set()
        assert await all_of(worker, lambda: iter([5])) == [5]
        assert steps == [0]

    in_worker(test)


def test_work_is_dropped_when_the_reader_stops():
    steps = []

    def work():
        for step in range(10**9):
            steps.append(step)
            yield step

    async def test(worker):
        stream = worker.run(work, is_disconnected=here)
        assert await anext(stream) == 0
        await stream.aclose()
        assert await all_of(worker, lambda: iter([5])) == [5]
        assert worker.waiting == 0

    in_worker(test)


def test_a_full_line_is_refused():
    hold = Event()

    def work():
        hold.wait(10)
        yield 1

    async def test(worker):
        first = asyncio.create_task(all_of(worker, work))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as caught:
            await all_of(worker, work)
        assert caught.value.http_status == 429
        hold.set()
        assert await first == [1]

    in_worker(test, limit=1)


def test_a_stopping_server_ends_the_answer():
    started, hold = Event(), Event()

    def work():
        yield 1
        started.set()
        hold.wait(10)
        yield 2

    async def test(worker):
        task = asyncio.create_task(all_of(worker, work))
        await asyncio.to_thread(started.wait, 10)
        worker.stopping.set()
        hold.set()
        with pytest.raises(Interrupted, match="server is stopping"):
            await task

    in_worker(test)
