"""Waiting calls are served in order, one of put_many or get_many as one call; what is given back comes first, and a lease ends once."""

import asyncio
import queue as standard
import threading
import time

import pytest

import sage_queue
from sage_queue import (
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    get_local_queue,
    memory_store,
    resolve_descriptor,
)


class Custom:
    """The least that an implementation has."""

    def __init__(self, descriptor):
        self._inner = standard.Queue(descriptor.metadata["maxsize"])
        self.put, self.get = self._inner.put, self._inner.get
        self.empty, self.qsize, self.full = self._inner.empty, self._inner.qsize, self._inner.full


@pytest.fixture(params=["local", "custom"])
def make(request, name):
    opened = []

    def open_one(maxsize):
        if request.param == "local":
            opened.append(get_local_queue(name, maxsize=maxsize))
        else:
            sage_queue.register_queue_implementation("ordered", Custom)
            opened.append(resolve_descriptor(sage_queue.QueueDescriptor(name, "ordered", {"maxsize": maxsize})))
        return opened[-1]

    yield open_one
    for queue in opened:
        while not queue._closed and not queue.empty():
            queue.get_nowait()
        queue.close()
    sage_queue.unregister_queue_implementation("ordered")


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.001)


def waiting(queue, side):
    if queue.descriptor.queue_type == "local":
        return queue.stats()["waiting_putters" if side == "puts" else "waiting_getters"]
    return len((queue._puts if side == "puts" else queue._gets)._line)


class Others:
    """Threads, each of which is seen to wait before the next one starts."""

    def __init__(self, queue):
        self._queue = queue
        self._threads = []
        self.results = {}

    def start(self, side, name, call):
        before = waiting(self._queue, side)

        def run():
            try:
                self.results[name] = call()
            except Exception as error:
                self.results[name] = error

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        until(lambda: waiting(self._queue, side) > before or name in self.results)

    def join(self):
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.mark.parametrize("source", [list, iter], ids=["list", "iterator"])
def test_a_put_does_not_come_between_the_items_of_put_many(make, source):
    queue = make(1)
    queue.put("first")
    others = Others(queue)
    others.start("puts", "many", lambda: queue.put_many(source(["a0", "a1", "a2"])))
    others.start("puts", "one", lambda: queue.put("b"))
    assert [queue.get(timeout=20) for _ in range(5)] == ["first", "a0", "a1", "a2", "b"]
    others.join()
    assert others.results == {"many": 3, "one": None}


def test_a_get_does_not_come_between_the_items_of_get_many(make):
    queue = make(0)
    others = Others(queue)
    others.start("gets", "many", lambda: queue.get_many(2))
    others.start("gets", "one", queue.get)
    with_two = ["v0", "v1", "v2"]
    queue.put_many(with_two)
    others.join()
    # How many are there when its turn comes is a matter of time; that they come in order is not.
    assert [*others.results["many"], others.results["one"]] == with_two[: len(others.results["many"]) + 1]


def test_two_of_put_many_do_not_mix(make):
    queue = make(2)
    others = Others(queue)
    for name in "ab":
        others.start("puts", name, lambda name=name: queue.put_many([f"{name}{number}" for number in range(50)]))
    items = [queue.get(timeout=20) for _ in range(100)]
    others.join()
    assert items == [f"{name}{number}" for name in "ab" for number in range(50)]


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A source may be silent for long before it is passed: time alone lets nobody by, also where a busy machine keeps its reader waiting."""
    monkeypatch.setattr(memory_store, "SILENT", 60)


class Source:
    """Gives `first`, and `last` once it is told to: in between it is read, and says nothing."""

    def __init__(self, first, last):
        self._items = [first, last]
        self.reading, self.go_on = threading.Event(), threading.Event()

    def __iter__(self):
        yield self._items[0]
        self.reading.set()
        assert self.go_on.wait(20)
        yield self._items[1]


def test_a_put_does_not_pass_a_source_that_is_being_read(make):
    queue = make(0)
    others, source = Others(queue), Source("a0", "a1")
    others.start("puts", "many", lambda: queue.put_many(source))
    assert source.reading.wait(20)
    others.start("puts", "one", lambda: queue.put("b", timeout=20))
    queue.put("now", block=False)  # with each change whoever can go on does
    source.go_on.set()
    others.join()
    assert [item for item in queue.get_many(10) if item != "now"] == ["a0", "a1", "b"]


def test_a_call_that_does_not_wait_passes_a_source_that_is_being_read(make):
    queue = make(0)
    others, source = Others(queue), Source("a0", "a1")
    others.start("puts", "many", lambda: queue.put_many(source))
    assert source.reading.wait(20)
    queue.put("b", block=False)
    queue.put("c", timeout=0)
    assert queue.put_many(["d"], 0) == 1
    source.go_on.set()
    others.join()
    items = queue.get_many(10)
    assert sorted(items) == ["a0", "a1", "b", "c", "d"] and [item for item in items if item in "bcd"] == ["b", "c", "d"]


def test_the_source_of_put_many_may_use_the_queue(make):
    queue = make(0)

    def source():
        for number in range(3):
            queue.put(f"from the source {number}", timeout=20)
            yield number

    assert queue.put_many(source()) == 3
    assert sorted(map(str, queue.get_many(10))) == ["0", "1", "2", *(f"from the source {number}" for number in range(3))]


def test_a_silent_source_holds_nobody_up(name, monkeypatch):
    monkeypatch.setattr(memory_store, "SILENT", 0.01)
    queue = get_local_queue(name)
    go_on = threading.Event()

    def source():
        yield 1
        assert go_on.wait(20)
        yield 2

    others = Others(queue)
    others.start("puts", "many", lambda: queue.put_many(source()))
    until(lambda: queue.qsize() == 1)
    queue.put("meanwhile", timeout=20)
    asyncio.run(queue.aput("meanwhile too", timeout=20))
    go_on.set()
    others.join()
    assert queue.get_many(10) == [1, "meanwhile", "meanwhile too", 2] and others.results == {"many": 2}
    queue.close()


def test_a_call_that_does_not_wait_stands_behind_nobody(make):
    queue = make(1)
    queue.put(1)
    others = Others(queue)
    others.start("puts", "many", lambda: queue.put_many([2, 3]))
    for call in (lambda: queue.put(4, block=False), lambda: queue.put(4, timeout=0), lambda: queue.put_many([4], 0)):
        with pytest.raises(QueueFullError):
            call()
    with pytest.raises(QueueFullError):  # its turn does not come
        queue.put(4, timeout=0.02)
    assert [queue.get(timeout=20) for _ in range(3)] == [1, 2, 3]
    others.join()
    with pytest.raises(QueueEmptyError):
        queue.get_many(1, block=False)


def test_tasks_of_a_loop_and_threads_stand_in_one_line(make):
    queue = make(1)
    queue.put("first")

    async def main():
        others = Others(queue)
        others.start("puts", "many", lambda: queue.put_many(["a0", "a1"]))
        task = asyncio.create_task(queue.aput("b"))
        while waiting(queue, "puts") < 2:
            await asyncio.sleep(0.001)
        items = [await queue.aget(20) for _ in range(4)]
        await task
        others.join()
        return items

    assert asyncio.run(main()) == ["first", "a0", "a1", "b"]


def test_what_is_given_back_goes_to_the_waiting_get(name):
    """All places are on lease, a get and a put wait: the get receives what comes back, the put its place."""
    queue = get_local_queue(name, maxsize=1)
    queue.put("v0")
    lease = queue.lease()
    others = Others(queue)
    others.start("gets", "get", queue.get)
    others.start("puts", "put", lambda: queue.put("v2"))
    lease.release()
    others.join()
    assert others.results == {"get": "v0", "put": None} and queue.get() == "v2"
    queue.close()


def test_a_task_that_waits_to_get_is_woken_by_what_is_given_back(name):
    queue = get_local_queue(name)
    queue.put("v0")
    lease = queue.lease()

    async def main():
        task = asyncio.create_task(queue.aget())
        while not waiting(queue, "gets"):
            await asyncio.sleep(0.001)
        lease.release()
        return await asyncio.wait_for(task, 20)

    assert asyncio.run(main()) == "v0"
    queue.close()


def test_a_waiting_get_finds_what_is_given_back(make):
    queue = make(0)
    queue.put("v0")
    lease = queue.lease()
    others = Others(queue)
    others.start("gets", "get", lambda: queue.get(timeout=20))
    lease.release()
    others.join()
    assert others.results == {"get": "v0"}


def test_an_ended_lease_ends_nothing_more(make):
    queue = make(0)
    queue.put("item")
    first = queue.lease()
    first.release()
    second = queue.lease()
    first.ack()
    first.release()
    assert queue.qsize() == 0 and queue.stats()["leased"] == 1
    second.release()
    batch = queue.lease_many(5)
    second.ack()
    assert batch.items == ["item"] and batch.leases[0].deliveries == 3
    batch.release()
    third = queue.lease()
    batch.ack()
    third.release()
    assert queue.get() == "item"


def test_items_come_back_in_the_order_of_their_puts(name):
    queue = get_local_queue(name)
    queue.put_many(range(4))
    leases = [queue.lease() for _ in range(3)]
    for index in (1, 2, 0):
        leases[index].release()
    assert queue.get_many(10) == [0, 1, 2, 3]
    queue.close()


def test_a_cancelled_get_gives_back_what_it_had_got_already(name):
    queue = get_local_queue(name)

    async def main():
        task = asyncio.create_task(queue.aget())
        await asyncio.sleep(0)
        queue.put("item")  # in its hands, though it has not run since
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with queue.lease(block=False) as lease:
            assert (lease.item, lease.deliveries) == ("item", 1)
            lease.ack()

    asyncio.run(main())
    queue.close()


def test_a_put_whose_task_does_not_go_on_holds_nobody_up(name, monkeypatch):
    monkeypatch.setattr(memory_store, "SILENT", 0.01)
    queue = get_local_queue(name, maxsize=1)

    async def main():
        queue.put("first")
        task = asyncio.create_task(queue.aput("of the task"))
        await asyncio.sleep(0)
        assert queue.get() == "first"
        queue.put("of its thread", timeout=20)  # the task is to put, and cannot meanwhile
        assert queue.get() == "of its thread"
        await task
        assert queue.get() == "of the task"

    asyncio.run(main())
    queue.close()


@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_the_end_of_put_many_says_how_much_went_in(make, end):
    queue = make(2)
    if end == "shutdown" and queue.descriptor.queue_type != "local":
        return  # it has none
    others = Others(queue)
    others.start("puts", "many", lambda: queue.put_many([1, 2, 3, 4, 5], timeout=20))
    assert queue.get(timeout=20) == 1
    until(lambda: queue.qsize() == 2)
    if queue.descriptor.queue_type == "local":
        getattr(queue, end)()
        others.join()
        assert others.results["many"].accepted == 3
        assert isinstance(others.results["many"], QueueClosedError) == (end == "close")
    else:
        assert queue.get_many(4, timeout=20)[:2] == [2, 3]
        while not queue.empty() or not others.results:
            queue.get_many(4, timeout=1) if queue.qsize() else time.sleep(0.001)
        others.join()
        assert others.results["many"] == 5


def test_what_goes_back_together_costs_each_the_same():
    """Not as much as all that went back before it: with those before it, 50 000 took minutes."""
    queue = get_local_queue("many-go-back")
    queue.put_many(range(50_000))
    batch = queue.lease_many(50_000)
    began = time.process_time()
    batch.release()
    assert queue.get_many(50_000) == list(range(50_000))
    assert time.process_time() - began < 5
    queue.close()
