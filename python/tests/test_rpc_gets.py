"""What has arrived for a call of a remote queue that does not bring it: cancelled, interrupted, or of a handle that ends meanwhile. It is in
the queue afterwards, once and in its order."""

import asyncio

import pytest
from conftest import Server, needs_node
from remote import drained, owned, until
from sage_queue import QueueClosedError, QueueDescriptor, resolve_descriptor

pytest.importorskip("grpc")
pytestmark = needs_node


def handle(proxy, name):
    return resolve_descriptor(QueueDescriptor.create_rpc_queue("127.0.0.1", proxy.port, name))


async def arrived(owner, remote, count):
    """Tasks that wait for items, which have come while their loop is busy."""
    client = remote._client
    tasks = [asyncio.create_task(remote.aget()) for _ in range(count)]
    while owner.stats()["waiting_getters"] == 0 or len(client.gets._sent) < count:
        await asyncio.sleep(0.002)
    owner.put_many(range(count))
    until(lambda: len(client.gets._held) == count)
    return tasks


async def cancelled(tasks):
    for task in tasks:
        task.cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task


def test_what_the_server_gave_back_by_itself_is_not_put_again(through, proxy):
    owner, remote = through

    async def main():
        tasks = await arrived(owner, remote, 1)
        proxy.refuses = True
        proxy.cut()
        until(lambda: owner.qsize() == 1)  # the server has waited long enough
        await cancelled(tasks)
        proxy.refuses = False
        assert remote.qsize() == 1
        until(lambda: not remote._client.has_pending())
        assert owner.get_many(10) == [0] and drained(owner)

    asyncio.run(main())


@pytest.mark.parametrize("then", ["goes on", "is closed", "is collected"])
def test_what_a_broken_connection_had_brought_comes_again_once(server, proxy, name, then):
    with owned(name) as owner, resolve_descriptor(server.queue(name)) as other:
        remote = handle(proxy, name)

        async def main():
            tasks = await arrived(owner, remote, 3)
            proxy.refuses = True
            proxy.cut()
            until(lambda: not remote._client.connection.is_open)
            await cancelled(tasks)
            assert other.qsize() == 0
            proxy.refuses = False

        asyncio.run(main())
        if then == "is closed":
            remote.close()
        elif then == "is collected":
            del remote, main
        until(lambda: other.qsize() == 3)
        assert other.get_many(10) == [0, 1, 2]
        until(lambda: drained(owner) and other.qsize() == 0)


def test_what_a_broken_connection_had_brought_stays_on_lease_until_it_is_taken(through, proxy):
    owner, remote = through
    connection = remote._client.connection

    async def main():
        tasks = await arrived(owner, remote, 3)
        for _ in range(3):
            stream = connection._stream
            proxy.cut()
            until(lambda: connection.is_open and connection._stream is not stream)
            # Acknowledged, they would be in no queue should this process die.
            assert owner.stats()["leased"] == 3 and owner.stats()["get_total"] == 0
        await cancelled(tasks[1:2])
        assert [await tasks[0], await tasks[2]] == [0, 2]

    asyncio.run(main())
    until(lambda: not remote._client.has_pending())
    assert owner.get_many(10) == [1] and drained(owner)


def test_what_is_taken_while_the_server_is_asked_for_it_is_told(through, proxy):
    owner, remote = through
    client = remote._client

    async def main():
        tasks = await arrived(owner, remote, 2)
        stream = client.connection._stream
        asked = client.open_frame

        def taken_meanwhile():
            frame = asked()
            first = next(iter(client.gets._held))
            client.gets.take(first)
            client.open_frame = asked
            return frame

        client.open_frame = taken_meanwhile
        proxy.cut()
        until(lambda: client.connection.is_open and client.connection._stream is not stream)
        until(lambda: owner.stats()["get_total"] == 1)
        await cancelled(tasks[1:])

    asyncio.run(main())
    until(lambda: not client.has_pending())
    assert owner.get_many(10) == [1] and drained(owner)


def test_what_one_server_had_brought_is_nothing_to_the_next_whose_deliveries_have_the_same_numbers(proxy, through):
    owner, remote = through
    connection = remote._client.connection
    first, second = Server(), Server()
    try:
        proxy.serve(first.port)

        async def main():
            tasks = await arrived(owner, remote, 1)
            proxy.refuses = True
            proxy.cut()
            first.stop()
            until(lambda: owner.qsize() == 1)
            proxy.serve(second.port)
            proxy.refuses = False
            until(lambda: connection.is_open)
            lease = remote.lease()
            assert await tasks[0] == 0  # it comes twice: a server has died
            assert remote.qsize() == 0 and owner.stats()["leased"] == 1 and owner.stats()["get_total"] == 0
            lease.release()
            assert owner.get(timeout=5) == 0

        asyncio.run(main())
    finally:
        remote.close()
        second.stop()


def test_what_has_arrived_when_its_handle_is_closed_goes_back(through):
    owner, remote = through

    async def main():
        tasks = await arrived(owner, remote, 2)
        remote.close()
        for task in tasks:
            with pytest.raises(QueueClosedError):
                await task

    asyncio.run(main())
    with owner.lease_many(10) as batch:
        assert [(lease.item, lease.deliveries) for lease in batch.leases] == [(0, 1), (1, 1)]


def test_what_is_taken_after_its_connection_broke_holds_up_no_close(through, proxy):
    owner, remote = through

    async def main():
        tasks = await arrived(owner, remote, 1)
        proxy.refuses = True
        proxy.cut()
        until(lambda: not remote._client.connection.is_open)
        assert await tasks[0] == 0
        assert not remote._client.gets.busy

    asyncio.run(main())
    until(lambda: remote._client.connection.is_deserted)
    assert not remote._client.is_awaited()
    proxy.refuses = False
    until(lambda: drained(owner))


class Raised(BaseException):
    """As KeyboardInterrupt is."""


#: Several deliveries bring them.
LARGE = [bytes([number]) * 100_000 for number in range(8)]
CALLS = {
    "get": lambda queue: queue.get(),
    "get_many": lambda queue: queue.get_many(8),
    "aget": lambda queue: asyncio.run(queue.aget()),
    "lease": lambda queue: queue.lease(),
    "lease_many": lambda queue: queue.lease_many(8),
    "alease": lambda queue: asyncio.run(queue.alease()),
}


@pytest.mark.parametrize("at", [1, 2, 8])
@pytest.mark.parametrize("call", CALLS)
def test_while_items_are_decoded(server, name, monkeypatch, call, at):
    if at > 1 and not call.endswith("many"):
        pytest.skip("one item")
    left = at

    def interrupted(data, codec):
        nonlocal left
        left -= 1
        if left == 0:
            raise Raised
        return data

    with owned(name) as owner, resolve_descriptor(server.queue(name)) as remote:
        owner.put_many(LARGE)
        monkeypatch.setattr("sage_queue.rpc.queue.decode", interrupted)
        with pytest.raises(Raised):
            CALLS[call](remote)
        until(lambda: owner.stats()["leased"] == 0)
        with owner.lease_many(8) as batch:
            assert batch.items == LARGE
            assert {lease.deliveries for lease in batch.leases} == {1}
