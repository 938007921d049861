"""What a signal's handler raises while a lease is given back, or a handle closed, loses no item: the next close() goes on with it."""

import pytest

from sage_queue import QueueDescriptor, QueueShutDownError, get_local_queue, resolve_descriptor
from test_interrupt_gets import open_custom, open_local, raise_at


def leave(lease):
    with lease:
        pass


ENDS = {
    "release": lambda queue: queue.lease().release,
    "with": lambda queue: lambda lease=queue.lease(): leave(lease),
    "release of some": lambda queue: queue.lease_many(2).release,
    "close": lambda queue: lambda held=queue.lease_many(2): queue.close(),
}


def left_in(queue):
    """In the order in which they would come."""
    if queue.descriptor.queue_type == "local":
        with get_local_queue(queue.descriptor.queue_id) as other:
            return other.get_many(10)
    return sorted(queue._inner.get(False) for _ in range(queue._inner.qsize()))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("open_one", [open_local, open_custom])
def test_at_every_moment(open_one, end, name):
    moment, came = 0, True
    while came:
        moment += 1
        queue = open_one(name)
        queue.put_many(range(3))
        _, came = raise_at(moment, ENDS[end](queue))
        queue.close()
        assert left_in(queue) == [0, 1, 2], moment
    assert moment > 4


def test_a_producer_that_is_interrupted_while_it_closes_is_done_with_the_next(name):
    moment, came = 0, True
    while came:
        moment += 1
        with get_local_queue(name) as reader:
            producer = resolve_descriptor(QueueDescriptor.create_local_queue(name), producer=True)
            _, came = raise_at(moment, producer.close)
            producer.close()
            with pytest.raises(QueueShutDownError):
                reader.get(timeout=0)
    assert moment > 4
