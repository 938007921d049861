"""What a signal's handler raises in a get, while it takes items and makes objects of them, loses none: they are in the queue as before."""

import asyncio
import queue as standard
import sys
from pathlib import Path

import pytest

import sage_queue
from conftest import needs_node
from remote import owned, until
from sage_queue import get_local_queue, get_sage_queue, resolve_descriptor, shared

PACKAGE = str(Path(sage_queue.__file__).parent)
ITEMS = [{"number": number} for number in range(200)]


class Raised(BaseException):
    """As KeyboardInterrupt is."""


def raise_at(number, call):
    """Calls it, and raises at one of the moments at which the interpreter looks for signals while the package's code runs: when a function
    begins, and after a call of one in C. @return what the call brought, and whether it came to that moment"""
    left = number

    def look(frame, event, argument):
        nonlocal left
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(PACKAGE):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise Raised

    sys.setprofile(look)
    try:
        return call(), left <= 0
    except Raised:
        return None, True
    finally:
        sys.setprofile(None)


def open_local(name):
    return get_local_queue(name)


def open_custom(name):
    class Custom:
        def __init__(self, descriptor):
            inner = standard.Queue()
            self.put, self.get, self.empty, self.qsize = inner.put, inner.get, inner.empty, inner.qsize

    sage_queue.register_queue_implementation("custom-gets", Custom)
    return resolve_descriptor(sage_queue.QueueDescriptor(name, "custom-gets"))


CALLS = {
    "get": lambda queue: [queue.get()],
    "get_nowait": lambda queue: [queue.get_nowait()],
    "get_many": lambda queue: queue.get_many(3),
    "lease": lambda queue: [queue.lease()],
    "lease_many": lambda queue: [*queue.lease_many(3).leases],
    "aget": lambda queue: [asyncio.run(queue.aget())],
    "alease": lambda queue: [asyncio.run(queue.alease())],
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("open_one", [open_local, open_custom])
def test_at_every_moment_of_a_get(open_one, call, name):
    queue = open_one(name)
    moment, came = 0, True
    while came:
        moment += 1
        queue.put_many(range(3))
        returned = queue.lease_many(2)  # one that has come back is taken in another way
        returned.release()
        found, came = raise_at(moment, lambda: CALLS[call](queue))
        got = [one.item if isinstance(one, sage_queue.Lease) else one for one in found or []]
        for lease in (one for one in found or [] if isinstance(one, sage_queue.Lease)):
            lease.ack()
        assert queue.stats()["leased"] == 0, moment
        assert got + (queue.get_many(10) if queue.qsize() else []) == [0, 1, 2], moment
    assert moment > 10
    queue.close()


@needs_node
@pytest.mark.parametrize("call", ["lease", "lease_many"])
def test_at_every_moment_of_a_lease_over_rpc(server, name, call):
    """It goes back while the handle goes on."""
    with owned(name) as owner, resolve_descriptor(server.queue(name)) as remote:
        moment, came = 0, True
        while came:
            moment += 1
            owner.put_many(range(3))
            found, came = raise_at(moment, lambda: CALLS[call](remote))
            for lease in reversed(found or []):
                lease.release()
            until(lambda: owner.qsize() == 3)
            assert owner.get_many(10) == [0, 1, 2] and remote._client.leases.open == 0, moment
        assert moment > 10


@pytest.mark.parametrize("at", [1, 64, 65, 150, 200])
@pytest.mark.parametrize("call", ["get", "get_many", "lease", "lease_many", "aget"])
def test_while_items_are_decoded(name, monkeypatch, call, at):
    if call in ("get", "lease", "aget") and at > 1:
        pytest.skip("one item")
    calls = {
        "get": lambda: queue.get(),
        "get_many": lambda: queue.get_many(200),
        "lease": lambda: queue.lease(),
        "lease_many": lambda: queue.lease_many(200),
        "aget": lambda: asyncio.run(queue.aget()),
    }
    with get_sage_queue(name) as queue:
        queue.put_many(ITEMS)
        decode, left = shared.decode, at

        def interrupted(data, codec):
            nonlocal left
            left -= 1
            if left == 0:
                raise Raised
            return decode(data, codec)

        monkeypatch.setattr(shared, "decode", interrupted)
        with pytest.raises(Raised):
            calls[call]()
        monkeypatch.undo()
        assert (queue.qsize(), queue.stats()["leased"]) == (200, 0)
        assert queue.get_many(200) == ITEMS
        queue.unlink()


def test_one_that_nobody_can_read_ends_the_call_before_it(name):
    with get_sage_queue(name) as queue, get_sage_queue(name, codec="raw") as raw:
        queue.put_many(ITEMS[:100])
        raw._handle.put(b"\xc1", shared.MSGPACK, 0.0)
        queue.put_many(ITEMS[100:])
        assert queue.get_many(200) == ITEMS[:100]
        with pytest.raises(sage_queue.SerializationError):
            queue.get_many(200)
        assert queue.get_many(200) == ITEMS[100:]
