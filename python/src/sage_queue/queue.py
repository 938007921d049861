"""The protocol of every queue: the signatures and errors of `queue.Queue`, leases, batches, and asyncio."""

from __future__ import annotations

import math
import queue as standard
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from .descriptor import QueueDescriptor
from .errors import InvalidDescriptorError, QueueError, QueueShutDownError, describe

T = TypeVar("T")


class QueueLike(Protocol):
    """What a type of your own must have."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def empty(self) -> bool: ...
    def qsize(self) -> int: ...


class Lease(Generic[T]):
    """An item that comes again unless it is acknowledged. Context manager: leaving it without ack() gives the item back."""

    __slots__ = ("item", "deliveries", "crashes", "_end")

    def __init__(self, item: T, deliveries: int, crashes: int, end: Callable[[bool], None]) -> None:
        self.item = item
        #: 1 the first time.
        self.deliveries = deliveries
        #: Proved deaths of processes that held it.
        self.crashes = crashes
        self._end: Callable[[bool], None] | None = end

    def _ended(self, ack: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(ack)

    def forget(self) -> bool:
        """Its batch ends it. Whether it was open."""
        end, self._end = self._end, None
        return end is not None

    def ack(self) -> None:
        """Forgotten from now on. After the end of the lease this does nothing."""
        self._ended(True)

    def release(self) -> None:
        """It comes again, ahead of all that are not yet taken. After the end of the lease this does nothing."""
        self._ended(False)

    def __enter__(self) -> Lease[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class LeaseBatch(Generic[T]):
    """Items on lease together. Context manager: leaving it gives back what is still open."""

    __slots__ = ("items", "leases", "_end")

    def __init__(self, items: list[T], leases: list[Lease[T]], end: Callable[[bool], None]) -> None:
        self.items = items
        #: Each of them by itself.
        self.leases = leases
        self._end = end

    @classmethod
    def of(cls, leases: list[Lease[T]]) -> LeaseBatch[T]:
        """Ended one by one. @raise of the first that was lost, once all have ended"""

        def end(ack: bool) -> None:
            lost: QueueError | None = None
            for lease in leases if ack else reversed(leases):
                try:
                    lease.ack() if ack else lease.release()
                except QueueError as error:
                    lost = lost or error
            if lost is not None:
                raise lost

        return cls([lease.item for lease in leases], leases, end)

    def ack(self) -> None:
        """Those still open."""
        self._end(True)

    def release(self) -> None:
        self._end(False)

    def __enter__(self) -> LeaseBatch[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def timeout_of(block: bool, timeout: float | None) -> float | None:
    """Seconds, None for ever: as queue.Queue reads its two arguments."""
    if not block:
        return 0.0
    if timeout is not None and (timeout < 0 or timeout != timeout):
        raise ValueError("'timeout' must be a non-negative number")
    return None if timeout == math.inf else timeout


def put_each(put: Callable[[Any, bool, float | None], None], items: Iterable[Any], timeout: float | None) -> int:
    """Puts one after the other, all of them within `timeout` seconds; an error of the queue says how many it has accepted."""
    left = timeout_of(True, timeout)
    end = None if left is None else time.monotonic() + left
    accepted = 0
    try:
        for item in items:
            put(item, True, None if end is None else max(0.0, end - time.monotonic()))
            accepted += 1
    except QueueError as error:
        error.accepted = accepted
        raise
    return accepted


class Pieces:
    """The source of a put_many, read no further ahead than it must: a piece of a sequence, whose items are there, and one item of anything
    else, whose next one may come late, or only once this one was put. `convert` makes of items what is put, or raises."""

    def __init__(self, items: Iterable[Any], convert: Callable[[list[Any]], list[Any]], most: int) -> None:
        self._source = iter(items)
        self._convert = convert
        self._most = most if isinstance(items, (list, tuple, range)) else 1
        #: There may be items after those that were read.
        self.more = True
        #: What ended it: to be raised once those read before it are put.
        self.failure: Exception | None = None

    def read(self) -> list[Any]:
        found: list[Any] = []
        try:
            found.extend(islice(self._source, self._most))
            self.more = len(found) == self._most
        except Exception as error:
            self._end(error)
        try:
            return self._convert(found)
        except Exception:
            return self._convertible(found)

    def _convertible(self, found: list[Any]) -> list[Any]:
        piece: list[Any] = []
        for item in found:
            try:
                piece += self._convert([item])
            except Exception as error:
                self._end(error)
                break
        return piece

    def _end(self, failure: Exception) -> None:
        self.more, self.failure = False, failure


def expected_producers(producer: object) -> int | None:
    """How many producers the queue has to see before it may end; None: the handle is no producer's. @raise InvalidDescriptorError"""
    if producer is None or producer is False:
        return None
    if isinstance(producer, int) and 1 <= producer < 2**32:
        return int(producer)
    raise InvalidDescriptorError(
        f"producer must be true, false or a whole number of producers from 1 to 4294967295, found {describe(producer)}."
    )


def check_max(most: int) -> int:
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ValueError(f"max must be a non-negative integer, found {most!r}")
    return most


class Queue(Generic[T]):
    """Signatures and errors of queue.Queue: Empty and Full are queue.Empty and queue.Full, ShutDown is queue.ShutDown where Python has it."""

    descriptor: QueueDescriptor
    #: What makes it anew where it is unpickled: resolve_descriptor(), by registry.py, which knows all types as they all know this one.
    _resolve: ClassVar[Callable[[QueueDescriptor], Queue[Any]]]

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Waits for room; QueueFullError when that takes too long."""
        raise NotImplementedError

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Waits for an item; QueueEmptyError. An item that a get returned never comes again."""
        raise NotImplementedError

    def put_nowait(self, item: T) -> None:
        self.put(item, False)

    def get_nowait(self) -> T:
        return self.get(False)

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        """All items in order, as there is room; `timeout` bounds the whole call. How many went in; an error carries `accepted`."""
        raise NotImplementedError

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        """Waits for one item, then takes what is there, up to `max`."""
        raise NotImplementedError

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        raise NotImplementedError

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        """Waits for one item, then leases what is there, up to `max`: at least once at the speed of get_many."""
        raise NotImplementedError

    def join(self, timeout: float | None = None) -> None:
        """Returns when nothing is in the queue and nothing on lease, anywhere; QueueTimeoutError. TypeError where that cannot be known."""
        raise NotImplementedError

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        raise NotImplementedError

    def qsize(self) -> int:
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        raise NotImplementedError

    def shutdown(self, immediate: bool = False) -> None:
        """No more puts, from anywhere; gets drain what is left, unless `immediate`."""
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of this handle; its open leases go back. Idempotent."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        """Ends when the queue is shut down and drained."""
        while True:
            try:
                item = self.get()
            except (QueueShutDownError, getattr(standard, "ShutDown", QueueShutDownError)):
                return
            yield item

    def __enter__(self) -> Queue[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def aput(self, item: T, timeout: float | None = None) -> None:
        """A call that is cancelled while it waits has put nothing, but where the queue lives elsewhere, in a server or an actor, that had been
        asked: room may come before it hears of the end."""
        raise NotImplementedError

    async def aget(self, timeout: float | None = None) -> T:
        """A call that is cancelled while it waits loses nothing."""
        raise NotImplementedError

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        raise NotImplementedError

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            try:
                item = await self.aget()
            except (QueueShutDownError, getattr(standard, "ShutDown", QueueShutDownError)):
                return
            yield item

    def __reduce__(self) -> tuple[Any, ...]:
        return (Queue._resolve, (self.descriptor,))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.descriptor.queue_type}:{self.descriptor.queue_id}>"
