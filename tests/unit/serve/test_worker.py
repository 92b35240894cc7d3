"""Work runs one request at a time, in order, and is cancelled when its client disconnects."""

import asyncio
from threading import Event

import pytest

from tunesmith.errors import DataError, Interrupted
from tunesmith.serve.worker import Busy, Worker


async def connected() -> bool:
    return False


async def disconnected() -> bool:
    return True


async def collect(worker, work, is_disconnected=connected):
    return [item async for item in worker.run(work, is_disconnected=is_disconnected)]


def run_with_worker(test, **settings):
    worker = Worker(**settings)
    try:
        return asyncio.run(test(worker))
    finally:
        worker.stop()


def test_requests_run_one_after_another():
    order = []

    def work(name):
        for step in range(3):
            order.append((name, step))
            yield step

    async def test(worker):
        results = await asyncio.gather(*[collect(worker, lambda name=name: work(name)) for name in "abc"])
        assert results == [[0, 1, 2]] * 3
        assert order == [(name, step) for name in "abc" for step in range(3)]
        assert worker.waiting == 0

    run_with_worker(test)


def test_an_error_of_the_work_reaches_the_caller():
    def work():
        yield 1
        raise DataError("no room")

    async def test(worker):
        with pytest.raises(DataError, match="no room"):
            await collect(worker, work)
        assert worker.waiting == 0
        assert await collect(worker, lambda: iter([5])) == [5]

    run_with_worker(test)


def test_work_is_cancelled_when_its_client_disconnects():
    release, steps = Event(), []

    def work():
        release.wait(10)
        for step in range(1000):
            steps.append(step)
            yield step

    async def test(worker):
        with pytest.raises(Interrupted, match="client disconnected"):
            await collect(worker, work, is_disconnected=disconnected)
        release.set()
        assert await collect(worker, lambda: iter([5])) == [5]
        assert steps == [0]

    run_with_worker(test)


def test_work_is_cancelled_when_the_consumer_closes():
    steps = []

    def work():
        for step in range(10**9):
            steps.append(step)
            yield step

    async def test(worker):
        stream = worker.run(work, is_disconnected=connected)
        assert await anext(stream) == 0
        await stream.aclose()
        assert await collect(worker, lambda: iter([5])) == [5]
        assert worker.waiting == 0

    run_with_worker(test)


def test_a_full_queue_rejects_requests():
    release = Event()

    def work():
        release.wait(10)
        yield 1

    async def test(worker):
        first = asyncio.create_task(collect(worker, work))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as caught:
            await collect(worker, work)
        assert caught.value.http_status == 429
        release.set()
        assert await first == [1]

    run_with_worker(test, limit=1)


def test_a_stopping_server_cancels_the_answer():
    started, release = Event(), Event()

    def work():
        yield 1
        started.set()
        release.wait(10)
        yield 2

    async def test(worker):
        task = asyncio.create_task(collect(worker, work))
        await asyncio.to_thread(started.wait, 10)
        worker.stopping.set()
        release.set()
        with pytest.raises(Interrupted, match="server is stopping"):
            await task

    run_with_worker(test)
