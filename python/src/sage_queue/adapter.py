"""The whole of `Queue` over an object with put, get, empty and qsize. Its own attributes stay reachable."""

from __future__ import annotations

import asyncio
import itertools
import os
import queue as standard
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .descriptor import QueueDescriptor
from .errors import QueueClosedError, QueueEmptyError, QueueError, QueueFullError
from .queue import Lease, LeaseBatch, Queue, QueueLike, check_max, put_each, timeout_of
from .waker import SLICE

T = TypeVar("T")

#: How often an event loop asks an implementation that can only block.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.01


#: How long close() waits for room for what is on lease.
_PUT_BACK_WITHIN = 2.0

#: How long a get stays inside the implementation at a time while items are on lease, which may come back meanwhile.
_HELD_SLICE = 0.05

OUT_OF_TURN = object()


class _Place:
    def __init__(self) -> None:
        self.thread = threading.get_ident()


class Turns:
    """Calls of one kind that wait have their turns in order, so that none comes between the items of a longer one."""

    def __init__(self) -> None:
        self._begin()
        _of_this_process.add(self)

    def _begin(self) -> None:
        self._line: deque[_Place] = deque()
        #: Entered by itself: a Condition is entered by Python code, in which a handler of signals may raise and leave it locked.
        self._lock = threading.RLock()
        self._moved = threading.Condition(self._lock)

    def after_fork_in_child(self) -> None:
        """Those who stand in the line are threads of the parent, and so may be who has the lock."""
        self._begin()

    @contextmanager
    def place(self) -> Iterator[_Place]:
        place = _Place()
        try:  # from here on a signal's handler may raise anywhere
            with self._lock:
                self._line.append(place)
            yield place
        finally:
            with self._lock:
                if place in self._line:
                    self._line.remove(place)
                self._moved.notify_all()

    def is_first(self, place: _Place) -> bool:
        return self._line[0] is place

    def _may_block(self, place: _Place) -> bool:
        """Nobody is before it but its own thread, which cannot go on before it: a loop's tasks, or the source of a put_many."""
        return all(other.thread == place.thread for other in itertools.takewhile(lambda other: other is not place, self._line))

    @contextmanager
    def turn(self, timeout: float | None) -> Iterator[Any]:
        """Waits for it. What is left of the timeout then, or OUT_OF_TURN when it is over first."""
        end = None if timeout is None else time.monotonic() + timeout
        with self.place() as place:
            with self._lock:
                left = timeout
                while not self._may_block(place) and (left is None or left > 0):
                    self._moved.wait(SLICE if left is None else min(SLICE, left))
                    left = None if end is None else max(0.0, end - time.monotonic())
                first = self._may_block(place)
            yield left if first else OUT_OF_TURN


#: Whatever a forked child has a copy of.
_of_this_process: weakref.WeakSet[Turns | AdaptedQueue[Any]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for one in list(_of_this_process):
        one.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)


class AdaptedQueue(Queue[T]):
    def __init__(self, inner: QueueLike, descriptor: QueueDescriptor) -> None:
        self._inner = inner
        self.descriptor = descriptor
        self._closed = False
        #: With nothing left to be done.
        self._left = False
        #: Given back, in front of all others.
        self._returned: deque[tuple[T, int]] = deque()
        self._held: dict[int, tuple[T, int]] = {}
        self._keys = itertools.count()
        self._puts = Turns()
        self._gets = Turns()
        _of_this_process.add(self)

    def after_fork_in_child(self) -> None:
        """What is on lease, or was given back to this handle, is the parent's."""
        self._held, self._returned = {}, deque()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def _open(self) -> QueueLike:
        if self._closed:
            raise QueueClosedError("This handle on the queue was closed. Resolve the descriptor again for a new one.")
        return self._inner

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        wait = timeout_of(block, timeout)
        if wait == 0:  # stands behind nobody
            return self._put(item, False, None)
        with self._puts.turn(wait) as left:
            if left is OUT_OF_TURN:
                raise QueueFullError("Other puts of this handle have waited before this one, and there was no room for them.")
            self._put_in_slices(item, True, left)

    def _put_in_slices(self, item: T, block: bool, timeout: float | None) -> None:
        """So that a signal gets through, and a close."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            try:
                return self._put(item, block, SLICE if left is None else min(SLICE, left))
            except QueueFullError:
                if left is not None and left <= SLICE:
                    raise

    def _put(self, item: T, block: bool, timeout: float | None) -> None:
        try:
            self._open().put(item, block, timeout)
        except QueueError:
            raise
        except standard.Full as error:
            raise QueueFullError("The queue is full.") from error

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        wait = timeout_of(True, timeout)
        if wait == 0:
            return put_each(self._put, items, 0)
        with self._puts.turn(wait) as left:
            if left is OUT_OF_TURN:
                raise QueueFullError("Other puts of this handle have waited before this one, and there was no room for them.")
            return put_each(self._put_in_slices, items, left)

    def _take(self, most: int, block: bool, timeout: float | None, then: Callable[[list[tuple[T, int]]], Any]) -> Any:
        """In turn: what `then` makes of one at least, and what more is there. Whatever is raised before its end gives them back."""
        taken: list[tuple[T, int]] = []
        try:
            self._take_into(taken, most, timeout_of(block, timeout))
            return then(taken)
        except BaseException:
            self._returned.extendleft(reversed(taken))
            raise

    def _take_into(self, taken: list[tuple[T, int]], most: int, wait: float | None) -> None:
        if wait == 0:
            return self._take_now(taken, most)
        with self._gets.turn(wait) as left:
            if left is OUT_OF_TURN:
                raise QueueEmptyError("The queue is empty: others of this handle have waited before this get.")
            end = None if left is None else time.monotonic() + left
            while True:
                rest = None if end is None else max(0.0, end - time.monotonic())
                # What is given back to this handle wakes nobody who is inside the implementation.
                slice_ = _HELD_SLICE if self._held else SLICE
                try:
                    self._take_one(taken, True, slice_ if rest is None else min(rest, slice_))
                except QueueEmptyError:
                    if rest is not None and rest <= slice_:
                        raise
                    continue
                return self._more(taken, most)

    def _take_now(self, taken: list[tuple[T, int]], most: int) -> None:
        self._take_one(taken, False, None)
        self._more(taken, most)

    def _more(self, taken: list[tuple[T, int]], most: int) -> None:
        while len(taken) < most:
            try:
                self._take_one(taken, False, None)
            except QueueError:
                break

    def _take_one(self, taken: list[tuple[T, int]], block: bool, timeout: float | None) -> None:
        inner = self._open()
        if self._returned:
            one = self._returned[0]
            del self._returned[0]  # no call, after which a signal's handler might raise
            return taken.append(one)
        try:
            taken.append((inner.get(block, timeout), 0))
        except QueueError:
            raise
        except standard.Empty as error:
            raise QueueEmptyError("The queue is empty.") from error

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self._take(1, block, timeout, _items_of)[0]  # type: ignore[no-any-return]

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        return [] if check_max(max) == 0 else self._take(max, block, timeout, _items_of)

    def _lease_of(self, key: int, item: T, deliveries: int) -> Lease[T]:
        of_process = self._held
        of_process[key] = (item, deliveries + 1)

        def end(ack: bool) -> None:
            if of_process is not self._held:
                return  # a forked child's copy is nobody's
            if key in self._held:
                held = self._held[key]
                del self._held[key]  # no call, as above
                if not ack:
                    self._returned.appendleft(held)
            elif ack:
                raise QueueClosedError("The lease was lost when its handle was closed: the item has gone back.")

        return Lease(item, deliveries + 1, 0, end)

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._take(1, block, timeout, self._leases_of).leases[0]  # type: ignore[no-any-return]

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        if check_max(max) == 0:
            return LeaseBatch.of([])
        return self._take(max, block, timeout, self._leases_of)  # type: ignore[no-any-return]

    def _leases_of(self, taken: list[tuple[T, int]]) -> LeaseBatch[T]:
        keys = [next(self._keys) for _ in taken]
        try:
            return LeaseBatch.of([self._lease_of(key, *one) for key, one in zip(keys, taken, strict=True)])
        except BaseException:  # of a signal's handler
            for key in keys:
                self._held.pop(key, None)
            raise

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
        """What is on lease goes back into the queue, at its end and once there is room. What finds none within seconds is lost: a warning says so."""
        if self._left and not self._returned:
            return
        self._closed = True  # nobody takes of them from here on
        for key in list(self._held):
            if key in self._held:
                held = self._held[key]
                del self._held[key]
                self._returned.append(held)
        end = time.monotonic() + _PUT_BACK_WITHIN
        while self._returned:
            one = self._returned[0]
            del self._returned[0]
            try:
                self._inner.put(one[0], False)
            except (QueueFullError, standard.Full):
                self._returned.appendleft(one)
                if time.monotonic() >= end:
                    told = f"{len(self._returned)} items on lease of '{self.descriptor.queue_id}' could not be put back: it is full."
                    warnings.warn(told, RuntimeWarning, stacklevel=2)
                    self._returned.clear()
                    break
                time.sleep(_LAST_PAUSE)
            except BaseException:  # close() goes on with it the next time
                self._returned.appendleft(one)
                raise
        close = getattr(self._inner, "close", None)
        if callable(close):
            close()
        self._left = True

    async def _ask(
        self, turns: Turns, call: Callable[[], Any], timeout: float | None, pending: type[QueueError], none: str
    ) -> Any:
        """In turn, too. Asks again and again, since nothing says when it would be worth it."""
        timeout_of(True, timeout)
        if timeout == 0:
            return call()
        end = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE
        with turns.place() as place:
            while True:
                if turns.is_first(place):
                    try:
                        return call()
                    except pending:
                        pass
                if end is not None and time.monotonic() >= end:
                    raise pending(none)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_PAUSE)

    async def aput(self, item: T, timeout: float | None = None) -> None:
        await self._ask(self._puts, lambda: self._put(item, False, None), timeout, QueueFullError, "The queue is full.")

    async def _atake(self, timeout: float | None, then: Callable[[list[tuple[T, int]]], Any]) -> Any:
        """As _take, of one."""
        taken: list[tuple[T, int]] = []
        try:
            await self._ask(self._gets, lambda: self._take_now(taken, 1), timeout, QueueEmptyError, "The queue is empty.")
            return then(taken)
        except BaseException:
            self._returned.extendleft(reversed(taken))
            raise

    async def aget(self, timeout: float | None = None) -> T:
        return (await self._atake(timeout, _items_of))[0]  # type: ignore[no-any-return]

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return (await self._atake(timeout, self._leases_of)).leases[0]  # type: ignore[no-any-return]


def _items_of(taken: list[tuple[T, int]]) -> list[T]:
    return [item for item, _ in taken]
