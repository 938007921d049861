"""put_many reads its source no further ahead than it must, and what was read before something went wrong is in."""

import asyncio
import threading
import time

import pytest

from sage_queue import QueueEmptyError, SerializationError


def test_a_source_may_wait_for_what_becomes_of_its_last_item(open_queue):
    queue = open_queue()
    other = open_queue()

    def source():
        for number in range(5):
            yield number
            assert other.get(timeout=20) == number

    assert queue.put_many(source()) == 5


def test_a_slow_source_holds_no_item_back(open_queue):
    queue = open_queue()
    goes_on = threading.Event()

    def source():
        yield 1
        assert goes_on.wait(20)
        yield 2

    thread = threading.Thread(target=lambda: queue.put_many(source()))
    thread.start()
    try:
        assert queue.get(timeout=20) == 1
    finally:
        goes_on.set()
        thread.join()
    assert queue.get() == 2


def test_what_came_before_an_error_of_the_source_is_in(open_queue):
    queue = open_queue()

    def source():
        yield from range(10)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        queue.put_many(source())
    assert queue.get_many(20) == list(range(10))


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_what_came_before_an_item_that_cannot_be_sent_is_in(open_queue, kind):
    queue = open_queue()
    if queue.descriptor.queue_type == "local":
        pytest.skip("takes anything")
    with pytest.raises(SerializationError) as raised:
        queue.put_many(kind([1, 2, 3, object(), 4]))
    assert raised.value.accepted == 3
    assert queue.get_many(20) == [1, 2, 3]
    with pytest.raises(QueueEmptyError):
        queue.get_nowait()


def test_sources_of_every_kind(open_queue):
    queue = open_queue()
    for source in ([], (), range(0), iter([]), {}):
        assert queue.put_many(source) == 0
    for source in (range(150), list(range(150)), iter(range(150)), dict.fromkeys(range(150))):
        assert queue.put_many(source) == 150
        assert queue.get_many(150) == list(range(150))


@pytest.mark.parametrize("form", ["put", "put_many", "aput"])
def test_what_waits_is_put_as_it_was(open_queue, form):
    """Also one that may change: the program may go on with its buffers."""
    queue = open_queue(maxsize=1)
    if queue.descriptor.queue_type == "local":
        pytest.skip("passes items by reference")
    queue.put(b"first")
    buffers = [bytearray(b"before"), bytearray(b"before")]
    forms = {
        "put": lambda: queue.put(buffers[0]),
        "put_many": lambda: queue.put_many([buffers[0], memoryview(buffers[1]), b"before"]),
        "aput": lambda: asyncio.run(queue.aput(buffers[0])),
    }
    thread = threading.Thread(target=forms[form])
    thread.start()
    while queue.stats()["waiting_putters"] == 0:
        time.sleep(0.001)
    for buffer in buffers:
        buffer[:] = b"after!"
    assert queue.get(timeout=20) == b"first"
    for _ in range(3 if form == "put_many" else 1):
        assert queue.get(timeout=20) == b"before"
    thread.join()
