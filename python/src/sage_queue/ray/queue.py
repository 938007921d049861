"""`ray_queue` and `ray_actor` on an actor that this package made, in either language: at least once, puts in order."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..adapter import OUT_OF_TURN, AdaptedQueue, Turns
from ..descriptor import QueueDescriptor
from ..errors import (
    ConfigMismatchError,
    InvalidDescriptorError,
    QueueClosedError,
    QueueEmptyError,
    QueueError,
    QueueFullError,
    QueueShutDownError,
    QueueTimeoutError,
)
from ..memory_store import CLOSED
from ..queue import Lease, LeaseBatch, Pieces, Queue, check_max, expected_producers, timeout_of
from .cluster import ANSWER_WITHIN, Steps, arun, explained, find_actor, is_dead, load, run, submit, unanswered
from .foreign import ForeignActor
from .owner import NUMBER, Owner

T = TypeVar("T")

#: The longest that a call waits on the cluster's side, and the most items of one call.
_LONGEST = 10.0
_MOST = 1000
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.02


def actor_name(descriptor: QueueDescriptor) -> str:
    if descriptor.queue_type == "ray_queue":
        return descriptor.queue_id
    name = descriptor.metadata.get("actor_name")
    if not name:
        raise InvalidDescriptorError("The descriptor of a ray_actor queue has no actor_name in its metadata.")
    return str(name)


def resolve_ray(
    descriptor: QueueDescriptor, *, create: str, producer: bool | int, credentials: Mapping[str, Any] | None
) -> Queue[Any]:
    """A `RayQueue`; on an actor of somebody else's, what that can do."""
    if expected_producers(producer) is not None:
        raise InvalidDescriptorError(
            f"producer is for handles of type local, shm and sage_queue; found it with '{descriptor.queue_type}', where nobody can "
            "prove that a producer has gone."
        )
    actor = find_actor(descriptor, actor_name(descriptor), create)
    if hasattr(actor, "sage_hello"):
        return RayQueue(descriptor, actor)
    return AdaptedQueue(ForeignActor(actor, actor_name(descriptor)), descriptor)


class RayQueue(Queue[T]):
    """Threads and event loops may share a handle; a forked child may not. Items are pickles, as everything in Ray."""

    def __init__(self, descriptor: QueueDescriptor, actor: Any) -> None:
        self.descriptor = descriptor
        self._name = actor_name(descriptor)
        self._pid = os.getpid()
        self._closed = False
        self._owner: Owner | None = None
        self._attach(actor)
        self._puts = Turns()
        #: Number of the next item; the actor applies each number once.
        self._next = 0
        #: What became of the last put is not known: numbers begin anew with what the actor says.
        self._astray = False

    def _attach(self, actor: Any) -> Owner:
        owner = Owner(actor, (self.descriptor.metadata.get("lease_ms") or 20_000) / 1000)
        try:
            run(owner.ready())
        except BaseException as error:
            raise self._explained("attach", error, unknown=False) from error
        asked = self.descriptor.metadata.get("maxsize") or 0
        if asked not in (0, owner.maxsize):
            owner.leave()
            raise ConfigMismatchError(
                f"The queue '{self._name}' exists with maxsize {owner.maxsize}; the descriptor asks for {asked}. "
                "Ask for the same, or leave maxsize out to take it as it is."
            )
        self._owner = owner
        return owner

    def _open(self) -> Owner:
        if self._closed or self._pid != os.getpid():
            raise QueueClosedError(CLOSED)
        if self._owner is None:  # its actor died
            self._next = 0
            return self._attach(find_actor(self.descriptor, self._name, "if-missing"))
        return self._owner

    def _explained(self, what: str, error: BaseException, *, unknown: bool) -> BaseException:
        if isinstance(error, TimeoutError) and not isinstance(error, QueueError):
            return unanswered(what, ANSWER_WITHIN, unknown=unknown)
        if is_dead(error) and self._owner is not None:
            self._owner.forget()
            self._owner = None
        return explained(what, error, unknown=unknown)

    def _run(self, what: str, steps: Steps[Any], *, unknown: bool = False) -> Any:
        try:
            return run(steps)
        except BaseException as error:
            found = self._explained(what, error, unknown=unknown)
            if found is error:
                raise
            raise found from error

    async def _arun(self, what: str, steps: Steps[Any], *, unknown: bool = False) -> Any:
        try:
            return await arun(steps)
        except BaseException as error:
            found = self._explained(what, error, unknown=unknown)
            if found is error:
                raise
            raise found from error

    # ── puts: one call under way at a time, so that they keep their order ───

    def _put_steps(self, items: Sequence[Any], timeout: float | None, accepted: Callable[[int], None]) -> Steps[None]:
        owner = self._open()
        end = None if timeout is None else time.monotonic() + timeout
        if self._astray:
            owner.end_epoch()
            yield from owner.ready()
            self._next, self._astray = max(self._next, owner.applied), False
        at = 0
        while at < len(items):
            left = _LONGEST if end is None else max(0.0, min(_LONGEST, end - time.monotonic()))
            self._astray = True
            first, some = self._next, list(items[at : at + _MOST])
            status, done = yield from owner.call("sage_put", NUMBER, first, some, float(left), wait=left)
            self._astray = False
            at += done
            self._next += done
            accepted(done)
            if status == "shut":
                raise QueueShutDownError("The queue was shut down and takes no more items.")
            if done < len(some) and end is not None and time.monotonic() >= end:
                raise QueueFullError(f"The queue holds its maxsize of {owner.maxsize} items (items on lease included).")

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """@raise QueueConnectionError with `outcome` 'unknown' when the item may be in the queue"""
        with self._puts.turn(timeout_of(block, timeout)) as left:
            self._run("put", self._put_steps([item], self._left(left), _ignore), unknown=True)

    def _left(self, left: Any) -> float | None:
        if left is OUT_OF_TURN:
            raise QueueFullError("Other puts of this handle have waited before this one, and there was no room for them.")
        return left  # type: ignore[no-any-return]

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        """One call in the line: puts made later through this handle wait until its items are in."""
        total = 0

        def accepted(count: int) -> None:
            nonlocal total
            total += count

        source = Pieces(items, list, sys.maxsize)
        wait = timeout_of(True, timeout)
        end = None if wait is None else time.monotonic() + wait
        try:
            with self._puts.turn(wait) as left:
                self._left(left)
                while source.more:
                    piece = source.read()
                    rest = None if end is None else max(0.0, end - time.monotonic())
                    self._run("put_many", self._put_steps(piece, rest, accepted), unknown=True)
                if source.failure is not None:
                    raise source.failure
        except QueueError as error:
            error.accepted = total
            raise
        return total

    async def aput(self, item: T, timeout: float | None = None) -> None:
        wait = timeout_of(True, timeout)
        end = None if wait is None else time.monotonic() + wait
        pause = _FIRST_PAUSE
        with self._puts.place() as place:
            while not self._puts.is_first(place):
                if end is not None and time.monotonic() >= end:
                    self._left(OUT_OF_TURN)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_PAUSE)
            left = None if end is None else max(0.0, end - time.monotonic())
            await self._arun("put", self._put_steps([item], left, _ignore), unknown=True)

    # ── gets ─────────────────────────────────────────────────────────────────

    def _take_steps(self, most: int, timeout: float | None) -> Steps[tuple[Owner, list[list[Any]]]]:
        """On lease: one at least, and what more is there. [id, deliveries, item] of each."""
        owner = self._open()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LONGEST if end is None else max(0.0, min(_LONGEST, end - time.monotonic()))
            status, taken = yield from owner.call(
                "sage_take", NUMBER, min(most, _MOST), float(left), wait=left, takes=True, abandoned=owner.give_back_unseen
            )
            if self._closed:
                raise QueueClosedError(CLOSED)
            if taken:
                return owner, taken
            if status == "shut":
                raise QueueShutDownError("The queue was shut down and nothing is left in it.")
            if end is not None and time.monotonic() >= end:
                raise QueueEmptyError("The queue is empty.")

    def _given(self, found: tuple[Owner, list[list[Any]]]) -> list[T]:
        owner, taken = found
        owner.acknowledge([lease for lease, _, _ in taken])
        return [item for _, _, item in taken]

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self.get_many(1, block, timeout)[0]

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        if check_max(max) == 0:
            return []
        return self._given(self._run("get", self._take_steps(max, timeout_of(block, timeout))))

    async def aget(self, timeout: float | None = None) -> T:
        return self._given(await self._arun("get", self._take_steps(1, timeout_of(True, timeout))))[0]

    # ── leases ───────────────────────────────────────────────────────────────

    def _leases(self, found: tuple[Owner, list[list[Any]]]) -> list[Lease[T]]:
        owner, taken = found
        return [Lease(item, deliveries, 0, self._ending(owner, [lease])) for lease, deliveries, item in taken]

    def _ending(self, owner: Owner, leases: list[int]) -> Callable[[bool], None]:
        def end(ack: bool) -> None:
            if self._pid != os.getpid():  # a forked child's copy is nobody's
                return
            if self._closed or owner is not self._owner:
                if ack:
                    raise QueueClosedError("The lease was lost when its handle was closed, or its actor died.")
                return
            if ack:
                owner.acknowledge(leases)
            else:
                owner.release(leases)
            self._run("ack" if ack else "release", owner.state(), unknown=True)

        return end

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._leases(self._run("lease", self._take_steps(1, timeout_of(block, timeout))))[0]

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return self._leases(await self._arun("lease", self._take_steps(1, timeout_of(True, timeout))))[0]

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        if check_max(max) == 0:
            return LeaseBatch.of([])
        found = self._run("lease_many", self._take_steps(max, timeout_of(block, timeout)))
        owner, taken = found
        leases = self._leases(found)

        def end(ack: bool) -> None:
            open_ = [one[0] for one, lease in zip(taken, leases) if lease.forget()]
            if open_:
                self._ending(owner, open_)(ack)

        return LeaseBatch([lease.item for lease in leases], leases, end)

    # ── questions, and the end ───────────────────────────────────────────────

    def _state(self, what: str) -> dict[str, Any]:
        return self._run(what, self._open().state())  # type: ignore[no-any-return]

    def qsize(self) -> int:
        return int(self._state("qsize")["qsize"])

    def full(self) -> bool:
        """Items on lease count: they may come back."""
        state = self._state("full")
        return bool(0 < state["maxsize"] <= state["qsize"] + state["leased"])

    def stats(self) -> dict[str, Any]:
        state = self._state("stats")
        renamed = {"getters": "waiting_getters", "putters": "waiting_putters", "shut": "shut_down"}
        return {
            "queue_id": self.descriptor.queue_id,
            "queue_type": self.descriptor.queue_type,
            **{renamed.get(key, key): value for key, value in state.items()},
        }

    def join(self, timeout: float | None = None) -> None:
        wait = timeout_of(True, timeout)
        end = None if wait is None else time.monotonic() + wait
        owner = self._open()
        while True:
            left = _LONGEST if end is None else max(0.0, min(_LONGEST, end - time.monotonic()))
            _, is_done = self._run("join", owner.call("sage_join", NUMBER, float(left), wait=left))
            if is_done:
                return
            if end is not None and time.monotonic() >= end:
                raise QueueTimeoutError("join: items were still in the queue or on lease.")

    def shutdown(self, immediate: bool = False) -> None:
        owner = self._open()
        try:
            submit(owner.actor, "sage_shutdown", immediate).result(ANSWER_WITHIN)
        except Exception as error:
            raise self._explained("shutdown", error, unknown=True) from error

    def close(self) -> None:
        """Returns also when the actor is silent; its leases then run out."""
        if self._closed:
            return
        self._closed = True
        if self._owner is not None and self._pid == os.getpid() and load().is_initialized():
            self._owner.leave()


def _ignore(count: int) -> None:
    pass
