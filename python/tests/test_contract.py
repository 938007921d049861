"""What every type promises: the signatures and errors of queue.Queue, batches, leases, ends."""

import pickle
import queue as standard
import threading
import time

import pytest

from sage_queue import (
    ConfigMismatchError,
    InvalidDescriptorError,
    LeaseBatch,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    QueueShutDownError,
    QueueTimeoutError,
    resolve_descriptor,
)


def test_items_come_out_in_order(open_queue):
    queue = open_queue()
    for number in range(100):
        queue.put(number)
    assert queue.qsize() == 100 and not queue.empty()
    assert [queue.get() for _ in range(100)] == list(range(100))
    assert queue.empty()


def test_empty_and_full_are_those_of_the_standard_library(open_queue):
    queue = open_queue(maxsize=2)
    with pytest.raises(standard.Empty) as empty:
        queue.get_nowait()
    assert isinstance(empty.value, QueueEmptyError) and empty.value.code == "ERR_QUEUE_EMPTY"
    queue.put(1)
    queue.put_nowait(2)
    assert queue.full()
    with pytest.raises(standard.Full) as full:
        queue.put(3, timeout=0.02)
    assert isinstance(full.value, QueueFullError)
    start = time.monotonic()
    assert queue.get(timeout=5) == 1 and queue.get(False) == 2
    with pytest.raises(QueueEmptyError):
        queue.get(timeout=0.05)
    assert time.monotonic() - start >= 0.05


def test_a_negative_timeout_is_a_mistake(open_queue):
    queue = open_queue()
    for call in (lambda: queue.get(timeout=-1), lambda: queue.put(1, timeout=-1), lambda: queue.lease(timeout=-1)):
        with pytest.raises(ValueError):
            call()
    assert queue.qsize() == 0


def test_a_get_waits_for_another_thread(open_queue):
    queue, other = open_queue(), open_queue()
    timer = threading.Timer(0.05, other.put, ["late"])
    timer.start()
    assert queue.get(timeout=20) == "late"
    timer.join()


def test_a_put_waits_for_room(open_queue):
    queue = open_queue(maxsize=1)
    queue.put(1)
    timer = threading.Timer(0.05, queue.get)
    timer.start()
    queue.put(2, timeout=20)
    timer.join()
    assert queue.get() == 2


def test_batches(open_queue):
    queue = open_queue(maxsize=1000)
    assert queue.put_many(range(500)) == 500
    assert queue.get_many(200) == list(range(200))
    assert queue.get_many(1000) == list(range(200, 500))
    assert queue.get_many(0) == []
    with pytest.raises(QueueEmptyError):
        queue.get_many(1, block=False)


def test_a_batch_that_does_not_fit_says_how_much_went_in(open_queue):
    queue = open_queue(maxsize=10)
    with pytest.raises(QueueFullError) as full:
        queue.put_many(range(100), timeout=0.02)
    assert full.value.accepted == 10 and queue.qsize() == 10


def test_leases_come_again_unless_acknowledged(open_queue):
    queue = open_queue()
    queue.put_many(["a", "b"])
    with queue.lease() as lease:
        assert (lease.item, lease.deliveries, lease.crashes) == ("a", 1, 0)
    with queue.lease() as lease:
        assert (lease.item, lease.deliveries) == ("a", 2)
        lease.ack()
        lease.ack()
        lease.release()
    assert queue.get() == "b" and queue.empty()


def test_leases_by_the_batch(open_queue):
    queue = open_queue()
    queue.put_many(range(150))
    with queue.lease_many(100) as batch:
        assert isinstance(batch, LeaseBatch) and batch.items == list(range(100))
        assert queue.stats()["leased"] == 100
        batch.leases[1].ack()
        batch.leases[3].release()
        batch.ack()
    assert queue.get() == 3
    with queue.lease_many(1000) as batch:
        assert batch.items == list(range(100, 150))
    assert queue.get_many(1000) == list(range(100, 150))


def test_join_waits_for_what_is_on_lease(open_queue):
    queue = open_queue()
    queue.join(0)
    queue.put(1)
    lease = queue.lease()
    with pytest.raises(QueueTimeoutError) as late:
        queue.join(timeout=0.02)
    assert late.value.code == "ERR_QUEUE_TIMEOUT"
    timer = threading.Timer(0.05, lease.ack)
    timer.start()
    queue.join(timeout=20)
    timer.join()


def test_the_end_of_a_queue(open_queue):
    queue, other = open_queue(), open_queue()
    queue.put_many([1, 2, 3])
    queue.shutdown()
    with pytest.raises(QueueShutDownError) as end:
        other.put(4)
    assert end.value.code == "ERR_QUEUE_SHUT_DOWN"
    assert isinstance(end.value, getattr(standard, "ShutDown", QueueShutDownError))
    assert list(other) == [1, 2, 3]
    with pytest.raises(QueueShutDownError):
        queue.get()


def test_the_end_at_once(open_queue):
    queue = open_queue()
    queue.put_many([1, 2, 3])
    queue.shutdown(immediate=True)
    assert list(queue) == []


def test_the_last_producer_ends_the_queue(open_queue):
    reader = open_queue()
    first = resolve_descriptor(reader.descriptor, producer=2)
    second = resolve_descriptor(reader.descriptor, producer=2)
    first.put(1)
    first.close()
    second.put(2)
    second.close()
    assert list(reader) == [1, 2]
    with pytest.raises(QueueShutDownError):
        resolve_descriptor(reader.descriptor, producer=True)


@pytest.mark.parametrize("producer", [0, -1, 1.5, "2", 2**32, 2**32 + 1, [1]])
def test_a_number_of_producers_that_is_none_is_refused(open_queue, producer):
    queue = open_queue()
    with pytest.raises(InvalidDescriptorError):
        resolve_descriptor(queue.descriptor, producer=producer)
    if hasattr(queue, "_handle"):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            queue._handle.produce(producer)
    queue.put(1)
    assert queue.get() == 1


def test_a_closed_handle(open_queue):
    queue, other = open_queue(), open_queue()
    queue.put("x")
    lease = queue.lease()
    queue.close()
    queue.close()
    with pytest.raises(QueueClosedError):
        queue.get()
    with pytest.raises(QueueClosedError):
        lease.ack()
    lease.release()
    assert other.get() == "x"


def test_a_close_ends_the_gets_that_wait(open_queue):
    queue = open_queue()
    ended = []

    def wait():
        try:
            queue.get()
        except QueueClosedError as error:
            ended.append(error.code)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    while queue.stats()["waiting_getters"] < 1:
        time.sleep(0.005)
    queue.close()
    for thread in threads:
        thread.join(20)
    assert ended == ["ERR_QUEUE_CLOSED"] * 3


def test_another_configuration_is_refused(open_queue):
    open_queue(maxsize=10)
    open_queue()
    with pytest.raises(ConfigMismatchError):
        open_queue(maxsize=11)


def test_options_that_nobody_knows_are_refused(open_queue):
    with pytest.raises(TypeError, match="maxsize"):
        open_queue(max_size=11)


def test_a_queue_pickles_as_its_descriptor(open_queue):
    queue = open_queue()
    queue.put("through a pickle")
    with pickle.loads(pickle.dumps(queue)) as other:
        assert other.get() == "through a pickle"
