"""`local`: a queue in the memory of one process, one for each id; items pass by reference."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .descriptor import QueueDescriptor
from .errors import (
    ConfigMismatchError,
    QueueClosedError,
    QueueEmptyError,
    QueueError,
    QueueExistsError,
    QueueFullError,
    QueueNotFoundError,
    QueueShutDownError,
    QueueTimeoutError,
)
from .queue import Lease, LeaseBatch, Queue, check_max, put_each, timeout_of

T = TypeVar("T")


class _Entry:
    """An item, and how often it was delivered."""

    __slots__ = ("item", "deliveries")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.deliveries = 0


class _AsyncCall:
    """A call that waits in an event loop; whoever changes the queue tries on its behalf."""

    def __init__(self, attempt: Callable[[], Any], undo: Callable[[Any], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.attempt = attempt
        self.undo = undo

    def deliver(self, outcome: Any, error: Exception | None) -> None:
        def in_loop() -> None:
            if self.future.done():
                if error is None:
                    self.undo(outcome)
            elif error is None:
                self.future.set_result(outcome)
            else:
                self.future.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(in_loop)
        except RuntimeError:  # the loop was closed meanwhile
            if error is None:
                self.undo(outcome)


class _Store:
    """The queue itself, that all handles of an id share."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.changed = threading.Condition(threading.RLock())
        self.entries: deque[_Entry] = deque()
        self.leased = 0
        self.shut = False
        self.put_total = 0
        self.get_total = 0
        self.redelivered = 0
        self.waiting = {"getters": 0, "putters": 0}
        self.calls: deque[_AsyncCall] = deque()
        self.handles = 0
        self.expected = 0
        self.producers_come = 0
        self.producers_open = 0

    def full(self) -> bool:
        return 0 < self.maxsize <= len(self.entries) + self.leased

    def settle(self) -> None:
        """After each change, under the lock: whoever can go on does."""
        self.changed.notify_all()
        kept: deque[_AsyncCall] = deque()
        while self.calls:
            call = self.calls.popleft()
            if call.future.cancelled():
                continue
            try:
                call.deliver(call.attempt(), None)
            except (QueueEmptyError, QueueFullError, QueueTimeoutError):
                kept.append(call)
            except Exception as error:
                call.deliver(None, error)
        self.calls = kept

    def end_with_last_producer(self) -> None:
        if 0 < self.expected <= self.producers_come and self.producers_open == 0:
            self.shut = True
            self.settle()


_stores: dict[str, _Store] = {}
_stores_lock = threading.Lock()


def _after_fork_in_child() -> None:
    """What the child has are copies, with locks that nobody may be there to release."""
    global _stores_lock
    _stores_lock = threading.Lock()
    for store in _stores.values():
        store.changed = threading.Condition(threading.RLock())
        store.calls.clear()




os.register_at_fork(after_in_child=_after_fork_in_child)


class LocalQueue(Queue[T]):
    """Threads and event loops of one process."""

    def __init__(
        self, descriptor: QueueDescriptor, *, create: str = "if-missing", producer: bool | int = False
    ) -> None:
        self.descriptor = descriptor
        self._closed = False
        self._held: set[_Entry] = set()
        self._produces = False
        schema = descriptor.metadata.get("schema")
        self._check: Callable[[Any], None] | None = None
        if schema is not None:
            from .schema import codec_of_schema

            self._check = codec_of_schema(schema).check
        maxsize = descriptor.metadata.get("maxsize") or 0
        with _stores_lock:
            store = _stores.get(descriptor.queue_id)
            if store is not None and store.handles == 0 and store.shut and not store.entries:
                store = None  # it has ended: the next to come starts a new one
            if store is None:
                if create == "never":
                    raise QueueNotFoundError(f"there is no local queue '{descriptor.queue_id}' in this process")
                store = _stores[descriptor.queue_id] = _Store(maxsize)
            elif create == "exclusive":
                raise QueueExistsError(f"the local queue '{descriptor.queue_id}' exists already")
            elif maxsize not in (0, store.maxsize):
                raise ConfigMismatchError(
                    f"The queue '{descriptor.queue_id}' exists with another configuration than the descriptor asks for: "
                    f"maxsize {store.maxsize}, asked for is {maxsize}."
                )
            store.handles += 1
        self._store = store
        if producer is not False:
            self._produce(1 if producer is True else int(producer))

    def _produce(self, expected: int) -> None:
        store = self._store
        with store.changed:
            if store.shut:
                self.close()
                raise QueueShutDownError("The last producer of the queue has gone: it has ended, and takes no more.")
            store.expected = max(store.expected, expected)
            store.producers_come += 1
            store.producers_open += 1
            self._produces = True

    # ── attempts, under the lock ─────────────────────────────────────────────

    def _try_put(self, item: T) -> None:
        store = self._store
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        if store.shut:
            raise QueueShutDownError("The queue was shut down and takes no more items.")
        if store.full():
            raise QueueFullError("The queue is full.")
        store.entries.append(_Entry(item))
        store.put_total += 1

    def _try_take(self) -> _Entry:
        """On lease."""
        store = self._store
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        if not store.entries:
            if store.shut and store.leased == 0:
                raise QueueShutDownError("The queue was shut down and nothing is left in it.")
            raise QueueEmptyError("The queue is empty.")
        entry = store.entries.popleft()
        entry.deliveries += 1
        store.leased += 1
        self._held.add(entry)
        return entry

    def _finish(self, entry: _Entry, ack: bool) -> None:
        store = self._store
        with store.changed:
            if entry not in self._held:
                if ack:
                    raise QueueClosedError("The lease was lost when its handle was closed: the item has gone back.")
                return
            self._held.discard(entry)
            store.leased -= 1
            if ack:
                store.get_total += 1
            else:
                store.redelivered += 1
                store.entries.appendleft(entry)
            store.settle()

    def _wait(self, side: str, timeout: float | None, attempt: Callable[[], Any], pending: type[QueueError]) -> Any:
        store = self._store
        end = None if timeout is None else time.monotonic() + timeout
        with store.changed:
            store.waiting[side] = store.waiting.get(side, 0) + 1
            try:
                while True:
                    try:
                        outcome = attempt()
                    except pending:
                        left = None if end is None else end - time.monotonic()
                        if left is not None and left <= 0:
                            raise
                        store.changed.wait(left)
                    else:
                        return outcome
            finally:
                store.waiting[side] -= 1

    # ── the protocol ─────────────────────────────────────────────────────────

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        if self._check is not None:
            self._check(item)
        self._wait("putters", timeout_of(block, timeout), lambda: self._try_put(item), QueueFullError)
        with self._store.changed:
            self._store.settle()

    def _take(self, block: bool, timeout: float | None) -> _Entry:
        entry = self._wait("getters", timeout_of(block, timeout), self._try_take, QueueEmptyError)
        assert isinstance(entry, _Entry)
        return entry

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        entry = self._take(block, timeout)
        self._finish(entry, True)
        return entry.item  # type: ignore[no-any-return]

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        return put_each(self, items, timeout)

    def _take_many(self, most: int, block: bool, timeout: float | None) -> list[_Entry]:
        entries = [self._take(block, timeout)]
        with self._store.changed:
            while len(entries) < most and self._store.entries:
                entries.append(self._try_take())
        return entries

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        if check_max(max) == 0:
            return []
        entries = self._take_many(max, block, timeout)
        for entry in entries:
            self._finish(entry, True)
        return [entry.item for entry in entries]

    def _lease_of(self, entry: _Entry) -> Lease[T]:
        return Lease(entry.item, entry.deliveries, 0, lambda ack: self._finish(entry, ack))

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._lease_of(self._take(block, timeout))

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        entries = [] if check_max(max) == 0 else self._take_many(max, block, timeout)
        leases = [self._lease_of(entry) for entry in entries]

        def end(ack: bool) -> None:
            for lease in leases if ack else reversed(leases):
                lease.ack() if ack else lease.release()

        return LeaseBatch([entry.item for entry in entries], leases, end)

    def _try_join(self) -> None:
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        if self._store.entries or self._store.leased:
            raise QueueTimeoutError("The queue was not finished in time.")

    def join(self, timeout: float | None = None) -> None:
        self._wait("joiners", timeout_of(True, timeout), self._try_join, QueueTimeoutError)

    def _open_store(self) -> _Store:
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        return self._store

    def qsize(self) -> int:
        return len(self._open_store().entries)

    def full(self) -> bool:
        return self._open_store().full()

    def stats(self) -> dict[str, Any]:
        store = self._open_store()
        with store.changed:
            return {
                "queue_id": self.descriptor.queue_id,
                "queue_type": self.descriptor.queue_type,
                "qsize": len(store.entries),
                "maxsize": store.maxsize,
                "put_total": store.put_total,
                "get_total": store.get_total,
                "leased": store.leased,
                "redelivered": store.redelivered,
                "waiting_getters": store.waiting["getters"],
                "waiting_putters": store.waiting["putters"],
                "shut_down": store.shut,
            }

    def shutdown(self, immediate: bool = False) -> None:
        store = self._open_store()
        with store.changed:
            store.shut = True
            if immediate:
                store.entries.clear()
            store.settle()

    def close(self) -> None:
        if self._closed:
            return
        store = self._store
        with store.changed:
            for entry in list(self._held):
                self._finish(entry, False)
            self._closed = True
            if self._produces:
                store.producers_open -= 1
                store.end_with_last_producer()
            store.settle()
            store.handles -= 1
        with _stores_lock:
            if store.handles == 0 and not store.entries and _stores.get(self.descriptor.queue_id) is store:
                del _stores[self.descriptor.queue_id]

    # ── asyncio ──────────────────────────────────────────────────────────────

    async def _await(
        self,
        attempt: Callable[[], Any],
        timeout: float | None,
        pending: type[QueueError],
        late: str,
        undo: Callable[[Any], None],
    ) -> Any:
        timeout_of(True, timeout)
        with self._store.changed:
            try:
                outcome = attempt()
            except pending:
                if timeout == 0:
                    raise
                call = _AsyncCall(attempt, undo)
                self._store.calls.append(call)
            else:
                self._store.settle()
                return outcome
        timer = None if timeout is None else call.loop.call_later(timeout, _expire, call.future, pending(late))
        try:
            return await call.future
        except asyncio.CancelledError:
            if call.future.done() and not call.future.cancelled() and call.future.exception() is None:
                undo(call.future.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()
            with self._store.changed:
                if call in self._store.calls:
                    self._store.calls.remove(call)

    async def aput(self, item: T, timeout: float | None = None) -> None:
        if self._check is not None:
            self._check(item)
        await self._await(lambda: self._try_put(item), timeout, QueueFullError, "The queue is full.", lambda _: None)

    async def _atake(self, timeout: float | None) -> _Entry:
        undo: Callable[[_Entry], None] = lambda entry: self._finish(entry, False)  # noqa: E731
        entry = await self._await(self._try_take, timeout, QueueEmptyError, "The queue is empty.", undo)
        assert isinstance(entry, _Entry)
        return entry

    async def aget(self, timeout: float | None = None) -> T:
        entry = await self._atake(timeout)
        self._finish(entry, True)
        return entry.item  # type: ignore[no-any-return]

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return self._lease_of(await self._atake(timeout))


def _expire(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
