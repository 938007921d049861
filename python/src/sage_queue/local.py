"""`local`: a queue in the memory of one process, one for each id; items pass by reference."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from . import local_stores
from .descriptor import QueueDescriptor
from .errors import (
    QueueClosedError,
    QueueEmptyError,
    QueueError,
    QueueFullError,
    QueueShutDownError,
    QueueTimeoutError,
)
from .memory_store import CLOSED, PENDING, Call, Entry, MemoryStore, PutManyCall, TaskCall
from .queue import Lease, LeaseBatch, Pieces, Queue, check_max, expected_producers, timeout_of
from .waker import LoopWaker, ThreadWaker

T = TypeVar("T")

Late = Callable[[], QueueError]
Undo = Callable[[], None]

def _full() -> QueueError:
    return QueueFullError("The queue is full.")


def _empty() -> QueueError:
    return QueueEmptyError("The queue is empty.")


class LocalQueue(Queue[T]):
    """Threads and event loops of one process. Calls that wait are served in order; one of put_many is one call."""

    def __init__(
        self, descriptor: QueueDescriptor, *, create: str = "if-missing", producer: bool | int = False
    ) -> None:
        self.descriptor = descriptor
        self._closed = False
        #: With nothing left to be done.
        self._left = False
        #: Among the handles of the store, and its producers.
        self._counts = False
        self._produces = False
        schema = descriptor.metadata.get("schema")
        self._check: Callable[[Any], None] | None = None
        if schema is not None:
            from .schema import codec_of_schema

            self._check = codec_of_schema(schema).check
        expected = expected_producers(producer)
        self._store = local_stores.attach(descriptor.queue_id, descriptor.metadata.get("maxsize") or 0, create)
        self._counts = True
        if expected is not None:
            self._produce(expected)

    def _produce(self, expected: int) -> None:
        store = self._store
        with store.lock:
            if store.shut:
                self.close()
                raise QueueShutDownError("The last producer of the queue has gone: it has ended, and takes no more.")
            store.expected = max(store.expected, expected)
            store.producers_come += 1
            store.producers_open += 1
            self._produces = True

    def _holds(self) -> list[Entry]:
        return [entry for entry in self._store.leases if entry.holder is self]

    def _open_store(self) -> MemoryStore:
        if self._closed:
            raise QueueClosedError(CLOSED)
        return self._store

    # ── waiting ──────────────────────────────────────────────────────────────

    def _enter(self, line: deque[Call], call: Call, timeout: float | None, late: Late) -> None:
        """Tries, and then waits in the line. One that does not wait stands behind nobody."""
        with self._open_store().lock:
            store = self._open_store()
            if timeout == 0 or all(other.may_be_passed for other in line):
                if call.settle():
                    store.serve()
                elif timeout == 0:
                    call.fail(late())
            if not call.done:
                line.append(call)

    def _limit(self, line: deque[Call], end: float | None) -> float | None:
        """How long to sleep; 0: the time is over."""
        left = None if end is None else max(0.0, end - time.monotonic())
        with self._store.lock:
            again = self._store.look_again(line)
        return left if again is None else again if left is None else min(left, again)

    def _wait(
        self, line: deque[Call], attempt: Callable[[], Any], timeout: float | None, late: Late, undo: Undo
    ) -> Any:
        end = None if timeout is None else time.monotonic() + timeout
        waker = ThreadWaker()
        call = Call(self, attempt, waker)
        try:  # from here on a signal's handler may raise anywhere
            self._enter(line, call, timeout, late)
            while not call.done and (limit := self._limit(line, end)) != 0:
                waker.wait(limit)
                self._serve(call)
            return self._outcome(line, call, late)
        except BaseException:
            self._withdraw(line, call, undo)
            raise

    async def _await(
        self, line: deque[Call], attempt: Callable[[], Any], timeout: float | None, late: Late, undo: Undo
    ) -> Any:
        end = None if timeout is None else time.monotonic() + timeout
        waker = LoopWaker(lambda: self._withdraw(line, call, undo))
        call = TaskCall(self, attempt, waker, self._store, by_task=line is self._store.putters)
        try:
            self._enter(line, call, timeout, late)
            while call.sleeps() and (limit := self._limit(line, end)) != 0:
                await waker.wait(limit)
                call.runs = True
                self._serve(call)
            return self._outcome(line, call, late)
        except BaseException:
            self._withdraw(line, call, undo)
            raise

    def _serve(self, call: Call) -> None:
        if not call.done:
            with self._store.lock:
                self._store.serve()

    def _outcome(self, line: deque[Call], call: Call, late: Late) -> Any:
        with self._store.lock:
            if not call.done:
                line.remove(call)
                call.fail(late())
                self._store.serve()
        return call.result()

    def _withdraw(self, line: deque[Call], call: Call, undo: Undo) -> None:
        """Nobody waits for it any more: what it got goes back."""
        with self._store.lock:
            if call in line:
                line.remove(call)
            undo()
            self._store.serve()

    # ── puts ─────────────────────────────────────────────────────────────────

    def _putting(self, item: T) -> Callable[[], Any]:
        if self._check is not None:
            self._check(item)
        store = self._store
        return lambda: None if store.try_put(item) else PENDING

    def _checked(self, items: list[T]) -> list[T]:
        if self._check is not None:
            for item in items:
                self._check(item)
        return items

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        self._wait(self._store.putters, self._putting(item), timeout_of(block, timeout), _full, _leave)

    async def aput(self, item: T, timeout: float | None = None) -> None:
        await self._await(self._store.putters, self._putting(item), timeout_of(True, timeout), _full, _leave)

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        """One call in the line: puts made later wait until its items are in, or its source is silent."""
        left = timeout_of(True, timeout)
        end = None if left is None else time.monotonic() + left
        store = self._open_store()
        source = Pieces(items, self._checked, sys.maxsize)
        waker = ThreadWaker()
        call = PutManyCall(self, store.try_put, waker)
        try:
            with store.lock:
                # One that does not wait stands behind nobody.
                store.putters.insert(0 if left == 0 else len(store.putters), call)
            while source.more:
                with store.lock:
                    store.hold_up(call)
                piece = source.read()
                with store.lock:
                    call.feed(piece)
                    store.serve()
                while not call.drained and (limit := self._limit(store.putters, end)) != 0:
                    waker.wait(limit)
                    self._serve(call)
                with store.lock:
                    if not call.drained:
                        raise _full()
                if call.error is not None:
                    raise call.error
            if source.failure is not None:
                raise source.failure
        except QueueError as error:
            error.accepted = call.accepted
            raise
        finally:
            with store.lock:
                if call in store.putters:
                    store.putters.remove(call)
                store.serve()
        return call.accepted

    # ── gets ─────────────────────────────────────────────────────────────────

    def _take(self, most: int, block: bool, timeout: float | None, then: Callable[[list[Entry]], Any]) -> Any:
        """What `then` makes of the items, on lease. Whatever is raised before its end gives them back."""
        taking = _Taking(self, most)
        try:
            self._wait(self._store.getters, taking.attempt, timeout_of(block, timeout), _empty, taking.undo)
            return then(taking.entries)
        except BaseException:
            self._give_back(taking)
            raise

    async def _atake(self, timeout: float | None, then: Callable[[list[Entry]], Any]) -> Any:
        taking = _Taking(self, 1)
        try:
            await self._await(self._store.getters, taking.attempt, timeout_of(True, timeout), _empty, taking.undo)
            return then(taking.entries)
        except BaseException:
            self._give_back(taking)
            raise

    def _give_back(self, taking: _Taking) -> None:
        if taking.entries:
            with self._store.lock:
                taking.undo()
                self._store.serve()

    def _got(self, entries: list[Entry]) -> list[T]:
        items = [entry.item for entry in entries]
        self._finish(entries, True)
        return items

    def _finish(self, entries: list[Entry], ack: bool) -> None:
        """@raise QueueClosedError when one that is acknowledged has gone back"""
        store = self._store
        with store.lock:
            mine = [entry for entry in entries if entry.holder is self and entry in store.leases]
            if ack:
                store.finish(mine)
            else:
                for entry in reversed(mine):
                    store.requeue(entry, seen=True)
            store.serve()
        if ack and len(mine) < len(entries):
            raise QueueClosedError("The lease was lost when its handle was closed: the item has gone back.")

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self.get_many(1, block, timeout)[0]

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        if check_max(max) == 0:
            return []
        return self._take(max, block, timeout, self._got)  # type: ignore[no-any-return]

    async def aget(self, timeout: float | None = None) -> T:
        return (await self._atake(timeout, self._got))[0]  # type: ignore[no-any-return]

    def _lease_of(self, entry: Entry) -> Lease[T]:
        return Lease(entry.item, entry.deliveries, 0, lambda ack: self._finish([entry], ack))

    def _leases_of(self, entries: list[Entry]) -> list[Lease[T]]:
        return [self._lease_of(entry) for entry in entries]

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._take(1, block, timeout, self._leases_of)[0]  # type: ignore[no-any-return]

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return (await self._atake(timeout, self._leases_of))[0]  # type: ignore[no-any-return]

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        if check_max(max) == 0:
            return LeaseBatch.of([])
        return self._take(max, block, timeout, lambda entries: LeaseBatch.of(self._leases_of(entries)))  # type: ignore[no-any-return]

    # ── questions, and the end ───────────────────────────────────────────────

    def join(self, timeout: float | None = None) -> None:
        store = self._store
        late = lambda: QueueTimeoutError("The queue was not finished in time.")  # noqa: E731
        self._wait(store.joiners, lambda: None if store.idle else PENDING, timeout_of(True, timeout), late, _leave)

    def qsize(self) -> int:
        return self._open_store().size

    def full(self) -> bool:
        return self._open_store().full()

    def stats(self) -> dict[str, Any]:
        store = self._open_store()
        with store.lock:
            return {
                "queue_id": self.descriptor.queue_id,
                "queue_type": self.descriptor.queue_type,
                "qsize": store.size,
                "maxsize": store.maxsize,
                "put_total": store.put_total,
                "get_total": store.get_total,
                "leased": store.leased,
                "redelivered": store.redelivered,
                "waiting_getters": len(store.getters),
                "waiting_putters": len(store.putters),
                "shut_down": store.shut,
            }

    def shutdown(self, immediate: bool = False) -> None:
        store = self._open_store()
        with store.lock:
            store.shutdown(immediate)

    def close(self) -> None:
        """One that a signal's handler has ended goes on with the next."""
        if self._left:
            return
        store = self._store
        with store.lock:
            self._closed = True
            store.give_up(self)
            self._finish(sorted(self._holds(), key=lambda entry: entry.sequence), False)
            if self._produces:
                self._produces = False
                store.producers_open -= 1
            store.end_with_last_producer()
            store.serve()
            if self._counts:
                self._counts = False
                store.handles -= 1
        local_stores.forget_unused(self.descriptor.queue_id, store)
        self._left = True


def _leave() -> None:
    """What was put stays."""


class _Taking:
    """What a call takes: on lease, at least one item, and what more is there."""

    __slots__ = ("entries", "_queue", "_most")

    def __init__(self, queue: LocalQueue[Any], most: int) -> None:
        self.entries: list[Entry] = []
        self._queue = queue
        self._most = most

    def attempt(self) -> Any:
        store, entries = self._queue._store, self.entries
        while len(entries) < self._most and (store.size > 0 or not entries):
            if not store.try_lease(entries, self._queue):
                return PENDING
        return entries

    def undo(self) -> None:
        self._queue._store.undo(self.entries, self._queue)
