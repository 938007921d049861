"""The whole of `Queue` over an object with put, get, empty and qsize. Its own attributes stay reachable."""

from __future__ import annotations

import asyncio
import queue as standard
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .descriptor import QueueDescriptor
from .errors import QueueClosedError, QueueEmptyError, QueueError, QueueFullError
from .queue import Lease, LeaseBatch, Queue, QueueLike, check_max, put_each, timeout_of


T = TypeVar("T")

#: How often an event loop asks an implementation that can only block.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.01


class AdaptedQueue(Queue[T]):
    def __init__(self, inner: QueueLike, descriptor: QueueDescriptor) -> None:
        self._inner = inner
        self.descriptor = descriptor
        self._closed = False
        self._returned: list[tuple[T, int]] = []
        self._held: dict[int, tuple[T, int]] = {}
        self._next = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def _open(self) -> QueueLike:
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        return self._inner

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        timeout_of(block, timeout)
        try:
            self._open().put(item, block, timeout)
        except QueueError:
            raise
        except standard.Full as error:
            raise QueueFullError("The queue is full.") from error

    def _take(self, block: bool, timeout: float | None) -> tuple[T, int]:
        timeout_of(block, timeout)
        inner = self._open()
        if self._returned:
            return self._returned.pop(0)
        try:
            return inner.get(block, timeout), 0
        except QueueError:
            raise
        except standard.Empty as error:
            raise QueueEmptyError("The queue is empty.") from error

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self._take(block, timeout)[0]

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        return put_each(self, items, timeout)

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        return [item for item, _ in self._take_many(max, block, timeout)]

    def _take_many(self, most: int, block: bool, timeout: float | None) -> list[tuple[T, int]]:
        if check_max(most) == 0:
            return []
        taken = [self._take(block, timeout)]
        while len(taken) < most:
            try:
                taken.append(self._take(False, None))
            except QueueError:
                break
        return taken

    def _lease_of(self, item: T, deliveries: int) -> Lease[T]:
        key = self._next
        self._next += 1
        self._held[key] = (item, deliveries + 1)

        def end(ack: bool) -> None:
            held = self._held.pop(key, None)
            if held is None and ack:
                raise QueueClosedError("The lease was lost when its handle was closed: the item has gone back.")
            if held is not None and not ack:
                self._returned.insert(0, held)

        return Lease(item, deliveries + 1, 0, end)

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._lease_of(*self._take(block, timeout))

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        leases = [self._lease_of(*taken) for taken in self._take_many(max, block, timeout)]

        def end(ack: bool) -> None:
            for lease in leases if ack else reversed(leases):
                lease.ack() if ack else lease.release()

        return LeaseBatch([lease.item for lease in leases], leases, end)

    def join(self, timeout: float | None = None) -> None:
        raise TypeError(f"a queue of type {self.descriptor.queue_type} cannot know when its items are finished")

    def empty(self) -> bool:
        return not self._returned and self._open().empty()

    def qsize(self) -> int:
        return self._open().qsize() + len(self._returned)

    def full(self) -> bool:
        full = getattr(self._open(), "full", None)
        return bool(full()) if callable(full) else False

    def stats(self) -> dict[str, Any]:
        return {
            "queue_id": self.descriptor.queue_id,
            "queue_type": self.descriptor.queue_type,
            "qsize": self.qsize(),
            "leased": len(self._held),
        }

    def shutdown(self, immediate: bool = False) -> None:
        shutdown = getattr(self._open(), "shutdown", None)
        if not callable(shutdown):
            raise TypeError(f"a queue of type {self.descriptor.queue_type} cannot be shut down: it has no shutdown()")
        shutdown(immediate)

    def close(self) -> None:
        """What is on lease goes back into the queue, at its end."""
        if self._closed:
            return
        for item, _ in [*self._returned, *self._held.values()]:
            self._inner.put(item, False)
        self._returned.clear()
        self._held.clear()
        self._closed = True
        close = getattr(self._inner, "close", None)
        if callable(close):
            close()

    async def _ask(self, call: Callable[[], Any], timeout: float | None, pending: type[QueueError]) -> Any:
        """Asks again and again, since nothing says when it would be worth it."""
        timeout_of(True, timeout)
        end = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while True:
            try:
                return call()
            except pending:
                if end is not None and time.monotonic() >= end:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    async def aput(self, item: T, timeout: float | None = None) -> None:
        await self._ask(lambda: self.put(item, False), timeout, QueueFullError)

    async def aget(self, timeout: float | None = None) -> T:
        return await self._ask(lambda: self.get(False), timeout, QueueEmptyError)  # type: ignore[no-any-return]

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return await self._ask(lambda: self.lease(False), timeout, QueueEmptyError)  # type: ignore[no-any-return]
