"""An adapted queue that closes with items on lease while there is no room for them: none is lost in silence, and none comes twice."""

import queue as standard
import threading
import time

import pytest

from sage_queue import QueueClosedError, QueueDescriptor
from sage_queue.adapter import AdaptedQueue


@pytest.fixture
def full():
    """Two on lease, and one in the queue, which holds two."""
    inner: standard.Queue = standard.Queue(2)
    adapted = AdaptedQueue(inner, QueueDescriptor(queue_id="adapted", queue_type="mine"))
    inner.put("a")
    inner.put("b")
    adapted.lease_many(2)
    inner.put("c")
    return inner, adapted


def test_they_go_back_as_soon_as_there_is_room(full):
    inner, adapted = full
    closing = threading.Thread(target=adapted.close)
    closing.start()
    came = [inner.get(timeout=20) for _ in range(3)]
    closing.join()
    adapted.close()
    assert came == ["c", "a", "b"] and inner.empty()


def test_what_finds_no_room_is_told(full):
    inner, adapted = full
    with pytest.warns(RuntimeWarning, match="1 items on lease of 'adapted' could not be put back"):
        adapted.close()
    assert [inner.get(), inner.get()] == ["c", "a"]


def test_one_that_is_interrupted_goes_on_where_it_was(full, monkeypatch):
    inner, adapted = full

    def interrupted(_seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sage_queue.adapter.time.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapted.close()
    assert [inner.get(), inner.get()] == ["c", "a"]
    adapted.close()
    assert inner.get() == "b" and inner.empty()


class Slow(standard.Queue):
    """Takes time for a put once it is `slow`, as an actor does."""

    slow = False

    def put(self, item, block=True, timeout=None):
        super().put(item, block, timeout)
        if self.slow:
            time.sleep(0.005)


def test_a_get_beside_it_takes_nothing_that_goes_back():
    inner = Slow()
    adapted = AdaptedQueue(inner, QueueDescriptor(queue_id="adapted", queue_type="mine"))
    for number in range(20):
        inner.put(number)
    adapted.lease_many(20)
    inner.slow = True
    got: list[int] = []

    def consume():
        with pytest.raises(QueueClosedError):
            while True:
                got.append(adapted.get())

    consumer = threading.Thread(target=consume)
    consumer.start()
    adapted.close()
    consumer.join()
    assert sorted([*got, *inner.queue]) == list(range(20))
