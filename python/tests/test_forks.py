"""A forked child and the handles of its parent, one of whose threads was in the middle of something."""

import os
import signal
import threading

import pytest

import sage_queue
from conftest import needs_node
from remote import owned, until
from sage_queue import QueueClosedError, get_sage_queue, resolve_descriptor


def in_a_child(body):
    """Whether it came to its end there, in time."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            body()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


@pytest.fixture
def custom(name):
    """A handle of a type of one's own that reaches across processes, and what is inside."""

    class Custom:
        def __init__(self, descriptor):
            self.put, self.get, self.empty, self.qsize = inner.put, inner.get, inner.empty, inner.qsize

    sage_queue.register_queue_implementation("custom-forks", Custom)
    with get_sage_queue(name) as inner:
        yield resolve_descriptor(sage_queue.QueueDescriptor(name, "custom-forks")), inner
        inner.unlink()


def test_a_child_stands_behind_no_thread_of_its_parent(custom):
    queue, _ = custom
    got = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    until(lambda: queue._gets._line)

    def child():
        queue.put_many(["one", "the other"])
        queue.get(timeout=10)

    assert in_a_child(child)
    thread.join(20)
    assert got


def test_a_child_puts_back_nothing_that_its_parent_has_on_lease(custom):
    queue, inner = custom
    queue.put_many(["held", "given back"])
    held, returned = queue.lease(), queue.lease()
    returned.release()

    def child():
        held.release()
        held.ack()
        queue.close()

    assert in_a_child(child)
    assert inner.empty()
    held.ack()
    assert queue.get(timeout=0) == "given back"
    queue.close()
    assert inner.empty()


@needs_node
def test_a_child_of_a_busy_client_waits_for_nobody(server, name):
    """The lock of the handle is a thread's that is not in the child."""
    with owned(name) as owner, resolve_descriptor(server.queue(name)) as queue:
        queue.put("held")
        lease = queue.lease(timeout=20)
        taken, done = threading.Event(), threading.Event()

        def busy():
            with queue._client.lock:
                taken.set()
                done.wait()

        thread = threading.Thread(target=busy)
        thread.start()
        taken.wait()

        def child():
            for call in (queue.get, queue.qsize, lambda: queue.put(1), lambda: queue.put_many([1])):
                with pytest.raises(QueueClosedError):
                    call()
            lease.release()
            queue.close()

        try:
            assert in_a_child(child)
        finally:
            done.set()
            thread.join()
        assert owner.empty()
        lease.ack()
