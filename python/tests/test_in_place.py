"""Bytes where they lie: claims that are filled, leases that are read, and views that outlive them."""

import numpy
import pytest

from sage_queue import ItemTooLargeError, QueueFullError, get_sage_queue


def test_numpy_without_a_copy(name):
    with get_sage_queue(name, capacity_bytes=1 << 22) as queue:
        with queue.claim(8 * 1000) as view:
            numpy.frombuffer(view, dtype="f8")[:] = numpy.arange(1000)
        with queue.lease_bytes() as leased:
            found = numpy.frombuffer(leased, dtype="f8")
            assert found.sum() == 499500 and not found.flags.writeable
            with pytest.raises(BufferError):
                leased.ack()
            with pytest.raises(BufferError):
                queue.close()
            del found
            leased.ack()
        assert queue.empty()


def test_an_exception_aborts_a_claim(name):
    with get_sage_queue(name) as queue:
        with pytest.raises(RuntimeError), queue.claim(4) as view:
            view[:] = b"abcd"
            raise RuntimeError
        assert queue.qsize() == 0
        with queue.claim(4) as view:
            view[:] = b"efgh"
        assert queue.get() == b"efgh"


def test_a_view_that_outlives_its_claim_is_empty(name):
    with get_sage_queue(name) as queue:
        with queue.claim(4) as view:
            view[:] = b"abcd"
        with pytest.raises(ValueError):
            view[0]
        leased = queue.lease_bytes()
        assert bytes(leased) == b"abcd" and len(leased) == 4
        with pytest.raises(TypeError):
            memoryview(leased)[0] = 1
        leased.ack()
        with pytest.raises(BufferError):
            bytes(memoryview(leased))


def test_leased_bytes_come_again(name):
    with get_sage_queue(name) as queue:
        queue.put(b"once")
        with queue.lease_bytes() as leased:
            assert leased.deliveries == 1
        leased = queue.lease_bytes()
        assert leased.deliveries == 2
        del leased
        assert queue.get() == b"once"


def test_claims_wait_for_room(name):
    with get_sage_queue(name, maxsize=1) as queue:
        queue.put(b"x")
        with pytest.raises(QueueFullError):
            queue.claim(1, timeout=0.02)
        with pytest.raises(ItemTooLargeError):
            queue.claim(1 << 40)
        with pytest.raises(ValueError):
            queue.claim(-1)
        queue.unlink()
