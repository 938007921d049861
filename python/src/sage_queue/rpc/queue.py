"""`rpc`: a queue behind a `QueueServer`, on this machine or another."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from ..codec import decode, encoder
from ..descriptor import QueueDescriptor
from ..errors import InvalidDescriptorError, QueueError, SerializationError, UnknownSchemaError
from ..queue import Lease, LeaseBatch, Pieces, Queue, check_max, expected_producers, timeout_of
from ..schema import codec_of_schema
from ..waker import LoopWaker, ThreadWaker, Waker
from .client import RpcClient
from .gets import GetCall
from .pending import PendingCall
from .queries import JOIN, QUERY, SHUTDOWN, Question
from .remote import read_remote
from .wire import MOST_ASKED, Encoded

T = TypeVar("T")
R = TypeVar("R")


def _removed(error: SerializationError) -> int:
    """Whether the item that nobody here can read is removed (1), or stays for others, who can (0)."""
    return 0 if isinstance(error, UnknownSchemaError) else 1


class RpcLease(Lease[T]):
    """It keeps its handle, and so the stream that it belongs to."""

    __slots__ = ("tag", "epoch")

    def __init__(
        self, queue: RpcQueue[T], item: T, deliveries: int, crashes: int, tag: int, epoch: int
    ) -> None:
        super().__init__(item, deliveries, crashes, lambda ack: queue._client.leases.end(epoch, tag, 1, ack))
        self.tag = tag
        self.epoch = epoch


class RpcQueue(Queue[T]):
    """A put that returned is in the queue. While the server lives no put is applied twice and no get loses or repeats an item, however
    often the connection breaks; docs/rpc.md has the whole table. Threads and event loops may share a handle; a forked child may not."""

    def __init__(
        self,
        descriptor: QueueDescriptor,
        *,
        create: str = "if-missing",
        producer: bool | int = False,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        if expected_producers(producer) is not None:
            raise InvalidDescriptorError(
                "producer is for handles of type local, shm and sage_queue; found it with 'rpc', where nobody can prove that a producer has gone."
            )
        self.descriptor = descriptor
        schema = descriptor.metadata.get("schema")
        if schema is not None:
            encode: Callable[[Any], tuple[Any, int]] = codec_of_schema(schema).encode
        else:
            encode = encoder(descriptor.metadata.get("codec") or "auto")
        self._encode_any = encode
        remote = read_remote(descriptor, credentials)
        maxsize = descriptor.metadata.get("maxsize")
        self._client = client = RpcClient(remote, maxsize=maxsize, exclusive=create == "exclusive")
        weakref.finalize(self, client.abandon).atexit = False

    def _encode(self, item: Any) -> Encoded:
        data, codec = self._encode_any(item)
        return (data if type(data) is bytes else bytes(data)), codec

    async def _await(self, make: Callable[[Waker], PendingCall]) -> Any:
        client = self._client
        call = make(LoopWaker(lambda: client.abort(call)))
        return await client.await_(call)

    # ── puts ─────────────────────────────────────────────────────────────────

    def _putting(self, item: T, timeout: float | None) -> Callable[[Waker], PendingCall]:
        encoded = self._encode(item)
        return lambda waker: self._client.puts.call([encoded], timeout, waker)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """@raise QueueConnectionError with `outcome` 'unknown' when the item may be in the queue"""
        self._client.wait(self._putting(item, timeout_of(block, timeout))(ThreadWaker()))

    async def aput(self, item: T, timeout: float | None = None) -> None:
        await self._await(self._putting(item, timeout_of(True, timeout)))

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        """One call in the line: puts made later through this handle wait until its items are sent, or its source is silent."""
        left = timeout_of(True, timeout)
        client = self._client
        client.check_open()
        source = Pieces(items, lambda some: [self._encode(item) for item in some], sys.maxsize)
        waker = ThreadWaker()
        call = client.puts.call_of_many(left, waker)
        try:
            with client.lock:
                client.check_open()
                call.start()
            while source.more and not call.done and call.failing is None:
                with client.lock:
                    call.begin_reading()
                piece = source.read()
                with client.lock:
                    client.puts.feed(call, piece, source.more)
                while source.more and not call.drained:
                    waker.wait(client.left(call))
            with client.lock:
                client.puts.feed(call, [], False)
            client.wait(call, started=True)
            if source.failure is not None:
                raise source.failure
        except QueueError as error:
            error.accepted = call.applied
            raise
        except BaseException:
            client.abort(call)
            raise
        return call.applied

    # ── gets ─────────────────────────────────────────────────────────────────

    def _getting(self, most: int, timeout: float | None, lease: bool = False) -> Callable[[Waker], GetCall]:
        return lambda waker: GetCall(self._client.gets, min(most, MOST_ASKED), lease, timeout, waker)

    def _got(self, make: Callable[[Waker], GetCall], then: Callable[[GetCall, list[T], SerializationError | None], R]) -> R:
        """What `then` makes of what came. Whatever is raised before that has taken it gives it back."""
        call = make(ThreadWaker())
        try:
            self._client.wait(call)
            return self._read(call, then)
        except BaseException:
            self._client.abort(call)
            raise

    async def _agot(self, make: Callable[[Waker], GetCall], then: Callable[[GetCall, list[T], SerializationError | None], R]) -> R:
        client = self._client
        call = make(LoopWaker(lambda: client.abort(call)))
        try:
            await client.await_(call)
            return self._read(call, then)
        except BaseException:
            client.abort(call)
            raise

    def _read(self, call: GetCall, then: Callable[[GetCall, list[T], SerializationError | None], R]) -> R:
        """The values, up to the first that cannot be read."""
        values: list[T] = []
        bad: SerializationError | None = None
        try:
            for part in call.parts:
                for data, codec in part.items:
                    values.append(cast(T, decode(data, codec)))
        except SerializationError as error:
            bad = error
        return then(call, values, bad)

    def _take(self, call: GetCall, values: list[T], bad: SerializationError | None) -> list[T]:
        """One that cannot be read is removed and reported by the call that meets it first."""
        with self._client.lock:
            self._client.gets.take(call, None if bad is None else len(values) or _removed(bad))
        if bad is not None and not values:
            raise bad
        return values

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self.get_many(1, block, timeout)[0]

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        if check_max(max) == 0:
            return []
        return self._got(self._getting(max, timeout_of(block, timeout)), self._take)

    async def aget(self, timeout: float | None = None) -> T:
        return (await self._agot(self._getting(1, timeout_of(True, timeout)), self._take))[0]

    # ── leases ───────────────────────────────────────────────────────────────

    def _lend(self, call: GetCall, values: list[T], bad: SerializationError | None) -> list[RpcLease[T]]:
        """The same of leases."""
        client, (part,) = self._client, call.parts
        told = zip(values, part.deliveries, part.crashes)
        leases = [RpcLease(self, *one, part.tag + index, call.epoch) for index, one in enumerate(told)]
        try:
            with client.lock:
                client.gets.lend(call)
            if bad is not None:
                kept, count = len(leases) or _removed(bad), len(part.items)
                if kept < count:
                    client.leases.end(call.epoch, part.tag + kept, count - kept, False, unseen=True)
                if not leases:
                    if kept > 0:
                        client.leases.end(call.epoch, part.tag, 1, True)
                    raise bad
        except BaseException:
            if not client.gets.holds(call):  # else it goes back as what nobody has taken
                self.end_leases(leases, False, unseen=True)
            raise
        return leases

    def end_leases(self, leases: list[RpcLease[T]], ack: bool, *, unseen: bool = False) -> None:
        """Those that are open in as few words as possible: neighbours go together."""
        runs: list[tuple[int, int, int]] = []
        for lease in leases:
            if not lease.forget():
                continue
            epoch, first, count = runs[-1] if runs else (-1, 0, 0)
            if (epoch, first + count) == (lease.epoch, lease.tag):
                runs[-1] = (epoch, first, count + 1)
            else:
                runs.append((lease.epoch, lease.tag, 1))
        for epoch, first, count in runs if ack else reversed(runs):
            self._client.leases.end(epoch, first, count, ack, unseen=unseen)

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._got(self._getting(1, timeout_of(block, timeout), lease=True), self._lend)[0]

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        leases: list[RpcLease[T]] = []
        wait = timeout_of(block, timeout)
        more = check_max(max) > 0
        try:
            try:
                while more and len(leases) < max:
                    getting = self._getting(max - len(leases), wait, lease=True)
                    lent, more = self._got(getting, lambda call, *read: (self._lend(call, *read), call.more))
                    leases += lent
                    wait = 0.0
            except QueueError:
                if not leases:
                    raise  # else the next call says it
            return LeaseBatch([lease.item for lease in leases], [*leases], lambda ack: self.end_leases(leases, ack))
        except BaseException:  # of a signal's handler
            self.end_leases(leases, False, unseen=True)
            raise

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return (await self._agot(self._getting(1, timeout_of(True, timeout), lease=True), self._lend))[0]

    # ── questions, and the end ───────────────────────────────────────────────

    def _state(self) -> Any:
        return self._ask(QUERY)

    def _ask(self, kind: str, timeout: float | None = 0, immediate: bool = False) -> Any:
        return self._client.wait(Question(self._client.queries, kind, ThreadWaker(), timeout, immediate))

    def qsize(self) -> int:
        return int(self._state().qsize)

    def full(self) -> bool:
        return bool(self._state().full)

    def stats(self) -> dict[str, Any]:
        state = self._state()
        found = {"queue_id": self.descriptor.queue_id, "queue_type": "rpc"}
        for name in ("qsize", "maxsize", "put_total", "get_total", "waiting_getters", "waiting_putters", "redelivered"):
            found[name] = getattr(state, name)
        if state.HasField("leased"):  # where the queue knows
            found["leased"] = state.leased
        return found

    def join(self, timeout: float | None = None) -> None:
        self._ask(JOIN, timeout_of(True, timeout))

    def shutdown(self, immediate: bool = False) -> None:
        self._ask(SHUTDOWN, 0, immediate)

    def close(self) -> None:
        self._client.close()
