"""asyncio on every type, without threads: waiting, cancelling, timeouts, several loops."""

import asyncio
import gc
import os
import resource
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from sage_queue import QueueClosedError, QueueEmptyError, QueueFullError, SegmentError, get_local_queue, get_sage_queue

uvloop = pytest.importorskip("uvloop")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    def runner(coroutine):
        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(asyncio.wait_for(coroutine, 60))

    return runner


def test_waiting_gets_are_served_in_order(open_queue, run):
    async def main():
        queue, other = open_queue(), open_queue()
        order = []

        async def get(number):
            order.append((number, await queue.aget()))

        tasks = [asyncio.create_task(get(number)) for number in range(50)]
        await asyncio.sleep(0.02)
        for number in range(50):
            await other.aput(number)
        await asyncio.gather(*tasks)
        assert order == [(number, number) for number in range(50)]

    run(main())


def test_cancelled_gets_lose_nothing(open_queue, run):
    async def main():
        queue = open_queue(maxsize=1000)
        tasks = [asyncio.create_task(queue.aget()) for _ in range(251)]
        await asyncio.sleep(0.02)
        for task in tasks[:250]:
            task.cancel()
        await queue.aput("for the last")
        assert await tasks[250] == "for the last"
        # Cancelled in the very turn in which the item came.
        for number in range(100):
            task = asyncio.create_task(queue.aget())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            queue.put(number)
            for _ in range(number % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got = await task
            except asyncio.CancelledError:
                got = queue.get(timeout=30)
            assert got == number
        assert queue.empty()

    run(main())


def test_timeouts(open_queue, run):
    async def main():
        queue = open_queue(maxsize=1)
        for timeout in (0, 0.02):
            with pytest.raises(QueueEmptyError):
                await queue.aget(timeout=timeout)
        await queue.aput(1)
        for timeout in (0, 0.02):
            with pytest.raises(QueueFullError):
                await queue.aput(2, timeout=timeout)
        with pytest.raises(ValueError):
            await queue.aget(timeout=-1)
        assert await queue.aget(timeout=5) == 1

    run(main())


def test_puts_wait_for_room(open_queue, run):
    async def main():
        queue = open_queue(maxsize=3)
        puts = [asyncio.create_task(queue.aput(number)) for number in range(30)]
        got = [await queue.aget() for _ in range(30)]
        await asyncio.gather(*puts)
        assert got == list(range(30))

    run(main())


def test_iteration_and_leases(open_queue, run):
    async def main():
        queue = open_queue()

        async def produce():
            for number in range(20):
                await queue.aput(number)
                await asyncio.sleep(0)
            queue.shutdown()

        task = asyncio.create_task(produce())
        lease = await queue.alease()
        assert lease.item == 0
        lease.ack()
        assert [number async for number in queue] == list(range(1, 20))
        await task

    run(main())


def test_a_close_ends_what_waits(open_queue, run):
    async def main():
        queue = open_queue()
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.02)
        queue.close()
        with pytest.raises(QueueClosedError):
            await task

    run(main())


def test_loops_and_threads_on_one_handle(open_queue):
    queue = open_queue(maxsize=16)
    got = []

    def blocking():
        for item in queue:
            got.append(item)

    def looping():
        async def main():
            async for item in queue:
                got.append(item)

        asyncio.run(main())

    threads = [threading.Thread(target=target) for target in (blocking, looping, blocking, looping)]
    for thread in threads:
        thread.start()
    for number in range(2000):
        queue.put(number, timeout=30)
    queue.shutdown()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == list(range(2000))


def test_no_thread_and_no_wakeups(name):
    async def main():
        before = set(threading.enumerate())  # of a test before it one may be about to end
        queue = get_sage_queue(name)
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.1)
        wakes = _switches()
        await asyncio.sleep(0.5)
        assert _switches() - wakes <= 4, "a waiting loop sleeps until it is rung"
        assert set(threading.enumerate()) <= before
        await queue.aput("x")
        assert await task == "x"
        queue.close()

    asyncio.run(main())


@contextmanager
def no_descriptors():
    """This process has none left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_loop_without_a_descriptor_says_so_and_waits_once_there_is_one(name, run):
    async def refused(call):
        with pytest.raises(SegmentError) as caught:
            await call
        assert caught.value.code == "ERR_SEGMENT_RESOURCES"

    async def main():
        queue = get_sage_queue(name, maxsize=1)
        with no_descriptors():
            await queue.aput("room")  # what does not wait needs none
            await refused(queue.aput("none"))
            with pytest.raises(QueueFullError):
                await queue.aput("none", timeout=0)
            with await queue.alease() as lease:
                assert lease.item == "room"
            assert await queue.aget() == "room"
            for call in (queue.aget, queue.alease):
                await refused(call())
                with pytest.raises(QueueEmptyError):
                    await call(timeout=0)
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.02)
        queue.put("x")
        assert await task == "x"
        queue.close()

    run(main())


def doorbells():
    """Of this process, but for what those who ring keep of one that is gone."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the listing
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [file for file in found if "sage-queue-bell" in file and not file.endswith("(deleted)")]


def test_a_doorbell_goes_with_its_loop(name, run):
    """Not only with the handle, which may see many loops."""

    async def waits():
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0.01)
        queue.put("x")
        assert await task == "x" and doorbells() != before

    with get_sage_queue(name) as queue:
        before = doorbells()
        for _ in range(3):
            run(waits())
            gc.collect()
            assert doorbells() == before
        queue.unlink()


def test_a_call_of_a_closed_loop_holds_up_none_of_another(name, run):
    """Its task was not cancelled, and somebody has it still."""

    async def behind():
        task = asyncio.create_task(queue.aget(timeout=20))
        await asyncio.sleep(0.01)
        queue.put("x")
        assert await task == "x"

    with get_sage_queue(name) as queue:
        loop = asyncio.new_event_loop()
        task = loop.create_task(queue.aget())
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        run(behind())
        assert not task.done()
        task._log_destroy_pending = False
        queue.unlink()


def _switches():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt"))


def test_a_fork_beside_a_waiting_loop(name):
    """The fork ends the watcher; the loop that waits has it back, and hears of the death of another process."""
    queue = get_sage_queue(name)
    queue.put("once")
    ready, go = os.pipe()
    holder = os.fork()
    if holder == 0:
        held = queue.lease()
        os.write(go, b"x")
        while held:
            os.read(os.pipe()[0], 1)
    os.read(ready, 1)

    async def main():
        task = asyncio.create_task(queue.alease())
        await asyncio.sleep(0.05)
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        await asyncio.sleep(0.05)
        os.kill(holder, 9)
        lease = await asyncio.wait_for(task, 20)
        assert (lease.item, lease.deliveries, lease.crashes) == ("once", 2, 1)
        lease.ack()

    asyncio.run(main())
    os.waitpid(holder, 0)


@pytest.mark.parametrize("kind", ["local", "sage_queue"])
def test_a_cancelled_put_has_put_nothing(name, run, kind):
    """Also where room comes in the turn in which it is cancelled; those behind it go on."""
    make = get_local_queue if kind == "local" else get_sage_queue

    async def main():
        queue, other = make(name, maxsize=1), make(name, maxsize=1)
        queue.put("first")

        async def bounded(item):
            async with asyncio.timeout(0.02):
                await queue.aput(item)

        cancelled, behind = asyncio.create_task(bounded("cancelled")), asyncio.create_task(queue.aput("behind"))
        while queue.stats()["waiting_putters"] == 0:
            await asyncio.sleep(0)
        assert other.get() == "first"
        time.sleep(0.03)  # the loop is busy: room and the end of the time come together
        with suppress(TimeoutError):
            await cancelled
            assert other.get() == "cancelled"  # it had got in before
        async with asyncio.timeout(20):
            await behind
        assert other.get_many(5) == ["behind"] and other.empty()
        # Cancelled in each of the turns in which it goes in.
        for turns in range(6):
            queue.put("first")
            task = asyncio.create_task(queue.aput(turns))
            await asyncio.sleep(0.002)
            assert other.get() == "first"
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            went_in = (await asyncio.gather(task, return_exceptions=True)) == [None]
            assert (other.qsize() == 1) == went_in
            if went_in:
                assert other.get() == turns
        queue.close()
        if kind == "sage_queue":
            other.unlink()
        other.close()

    run(main())
