"""put_many reads its source no further ahead than it must, and what was read before something went wrong is in."""

import threading

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
