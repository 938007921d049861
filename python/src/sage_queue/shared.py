"""`shm` and `sage_queue`: queues in shared memory, for every process of this host, in Python, Node, C and C++.

Past 400 lines: one class with every method of the protocol, as a program finds it.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from . import _native
from .aio import GETTERS, PUTTERS, WaitList
from .codec import Encode, decode, encoder
from .codec_ids import MSGPACK, RAW
from .descriptor import QueueDescriptor
from .errors import (
    ConfigMismatchError,
    QueueClosedError,
    QueueEmptyError,
    QueueError,
    QueueFullError,
    QueueShutDownError,
    SegmentError,
    SerializationError,
    UnknownSchemaError,
)
from .msgpack_codec import encode as encode_msgpack
from .process_end import at_process_end, attend_process_end
from .queue import Lease, LeaseBatch, Pieces, Queue, check_max, expected_producers, timeout_of

T = TypeVar("T")

_KINDS = {"shm": 1, "sage_queue": 2}
_CREATE = {"if-missing": 0, "never": 1, "exclusive": 2}
_ALL_USERS, _KEEP, _OWNED = 2, 4, 8
_MOST = 64
_DEFAULT_MAXSIZE = 1000
_DEFAULT_MODE = 0o600


def _address(descriptor: QueueDescriptor) -> tuple[int, str, str | None, int, int]:
    """Kind, name, namespace, flags and owner: what the name of the segment is made of."""
    metadata = descriptor.metadata
    kind = _KINDS[descriptor.queue_type]
    if descriptor.queue_type == "shm":
        return kind, str(metadata.get("shm_name") or ""), None, 0, 0
    if metadata.get("enable_multi_tenant") is False:
        return kind, descriptor.queue_id, metadata.get("namespace"), _ALL_USERS, 0
    owner = metadata.get("owner_uid")
    return kind, descriptor.queue_id, metadata.get("namespace"), _OWNED, os.getuid() if owner is None else owner


def segment_name(descriptor: QueueDescriptor) -> str:
    """The same in every language. @raise SegmentError ERR_SEGMENT_NAME"""
    return _native.segment_name(*_address(descriptor))


def _trusted_uids() -> tuple[int, ...]:
    text = os.environ.get("SAGE_QUEUE_TRUST_UID", "").strip()
    if text == "":
        return ()
    if re.fullmatch(r"\s*\d{1,10}\s*(,\s*\d{1,10}\s*)*", text) is None:
        raise SegmentError(
            f"SAGE_QUEUE_TRUST_UID is a list of user ids such as 1000,65534; found {text!r}.", "ERR_SEGMENT_PERMISSION"
        )
    return tuple(int(part) for part in text.split(","))


def _differences(descriptor: QueueDescriptor, existing: dict[str, Any]) -> list[str]:
    """What an existing queue has otherwise than the descriptor asks for. A default asks for nothing."""
    asked = descriptor.metadata
    found: list[str] = []
    for key, default in (("maxsize", _DEFAULT_MAXSIZE), ("capacity_bytes", None), ("mode", _DEFAULT_MODE)):
        wanted = asked.get(key)
        if wanted is not None and wanted != default and wanted != existing[key]:
            found.append(f"{key} {existing[key]}, asked for is {wanted}")
    if asked.get("auto_cleanup") is False and existing["auto_cleanup"]:
        found.append("auto_cleanup True, asked for is False")
    return found


_open_queues: weakref.WeakSet[SharedQueue[Any]] = weakref.WeakSet()


class SharedQueue(Queue[T]):
    """Threads may share a handle; a forked child goes on with it as a participant of its own."""

    def __init__(
        self, descriptor: QueueDescriptor, *, create: str = "if-missing", producer: bool | int = False
    ) -> None:
        if create not in _CREATE:
            raise ValueError(f"create is 'if-missing', 'never' or 'exclusive', found {create!r}")
        expected = expected_producers(producer)
        self.descriptor = descriptor
        self._type = descriptor.queue_type  # of `auto`, what it became
        self._closed = False
        #: Gone with their loop, and its doorbell with them.
        self._lists: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, WaitList]] = weakref.WeakKeyDictionary()
        self._pid = os.getpid()
        self._handle = self._open(descriptor, create)
        self._encode: Encode
        try:
            self._attach(descriptor)
            if expected is not None:
                self._handle.produce(expected)
        except BaseException:
            self._handle.close()
            raise
        self._auto = self._encode is encoder("auto")
        # Looked up once: each is a call of every item.
        self._put, self._get = self._handle.put, self._handle.get
        _open_queues.add(self)
        attend_process_end()

    def _open(self, descriptor: QueueDescriptor, create: str) -> _native.Handle:
        metadata = descriptor.metadata
        kind, name, namespace, flags, owner = _address(descriptor)
        if metadata.get("auto_cleanup") is False:
            flags |= _KEEP
        maxsize = metadata.get("maxsize")
        schema = metadata.get("schema")
        text: bytes | None = None
        if schema is not None:
            from .schema import codec_of_schema

            text = codec_of_schema(schema).text.encode()
        return _native.open(
            kind,
            _CREATE[create],
            name,
            namespace,
            descriptor.queue_id,
            flags,
            _DEFAULT_MODE if metadata.get("mode") is None else metadata["mode"],
            _DEFAULT_MAXSIZE if maxsize is None else maxsize,
            metadata.get("capacity_bytes") or 0,
            owner,
            _trusted_uids(),
            text,
        )

    def _attach(self, descriptor: QueueDescriptor) -> None:
        existing = self._handle.describe()
        differences = _differences(descriptor, existing)
        if differences:
            raise ConfigMismatchError(
                f"The queue '{descriptor.queue_id}' exists with another configuration than the descriptor asks for: "
                f"{'; '.join(differences)}. Ask for the same, or leave it out to take the queue as it is."
            )
        self._maxsize: int = existing["maxsize"]
        self._capacity: int = existing["capacity_bytes"]
        permissions = existing["permissions"] & 0o022
        self._audience = (permissions, existing["group"] if permissions & 0o020 else 0)
        stored = [text for text in self._handle.schemas() if text]
        asked = descriptor.metadata.get("schema")
        if stored or asked is not None:
            from .schema import attach

            self._encode = attach(self._handle, stored, asked, descriptor.queue_id)
        else:
            self._encode = encoder(descriptor.metadata.get("codec") or "auto")

    # ── items ────────────────────────────────────────────────────────────────

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        if not block:
            timeout = 0.0
        if self._auto:
            if type(item) is bytes:
                self._put(item, RAW, timeout)
                return
            if type(item) is dict:
                self._put(encode_msgpack(item), MSGPACK, timeout)
                return
        data, codec = self._encode(item)
        self._put(data, codec, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        return self._get(timeout if block else 0.0, decode)  # type: ignore[no-any-return]

    def put_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        end = None if timeout_of(True, timeout) is None else time.monotonic() + cast(float, timeout)
        accepted = 0
        encode, bare = self._encode, self._auto
        # Bytes that are raw in any case go as they are.
        source = Pieces(items, lambda some: [one if bare and type(one) is bytes else encode(one) for one in some], _MOST)
        try:
            while source.more:
                batch = source.read()
                done = 0
                while done < len(batch):
                    left = None if end is None else max(0.0, end - time.monotonic())
                    went = self._handle.put_some(batch, done, left)
                    done += went
                    accepted += went
            if source.failure is not None:
                raise source.failure
            return accepted
        except QueueError as error:
            error.accepted = accepted
            raise

    def get_many(self, max: int, block: bool = True, timeout: float | None = None) -> list[T]:
        if check_max(max) == 0:
            return []
        return cast("list[T]", self._handle.get_many(max, timeout_of(block, timeout), decode))

    def lease(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        return self._lease_of(self._handle.lease(1, timeout_of(block, timeout))[0])

    def _lease_of(self, item: _native.Item) -> Lease[T]:
        return Lease(self._decoded(item), item.deliveries, item.crashes, lambda ack: _end(item, ack))

    def _decoded(self, item: _native.Item) -> T:
        try:
            return cast(T, decode(item.copy(), item.codec))
        except UnknownSchemaError:
            item.undo()
            raise
        except SerializationError:
            item.finish()  # as a get that cannot decode: it is removed
            raise
        except BaseException:  # of a signal's handler
            item.release()
            raise

    def lease_many(self, max: int, block: bool = True, timeout: float | None = None) -> LeaseBatch[T]:
        if check_max(max) == 0:
            return LeaseBatch([], [], lambda ack: None)
        held = self._handle.lease(min(max, _MOST), timeout_of(block, timeout))  # each goes back when nobody has it any more
        while len(held) < max and self._handle.size() > 0:
            try:
                more = self._handle.lease(min(max - len(held), _MOST), 0.0)
            except QueueError:  # the next call says it
                break
            held += more
        leases: list[Lease[T]] = []
        for index, item in enumerate(held):
            if index == 0:
                try:
                    leases.append(self._lease_of(item))
                except SerializationError:
                    _undo(held[1:])
                    raise
                continue
            try:
                decoded = cast(T, decode(item.copy(), item.codec))
            except SerializationError:
                _undo(held[index:])  # the next call comes to it first
                held = held[:index]
                break
            leases.append(Lease(decoded, item.deliveries, item.crashes, lambda ack, item=item: _end(item, ack)))  # type: ignore[misc]
        handle = self._handle
        return LeaseBatch([lease.item for lease in leases], leases, lambda ack: handle.end_all(held, ack))

    # ── in place ─────────────────────────────────────────────────────────────

    def claim(self, nbytes: int, block: bool = True, timeout: float | None = None) -> Claim:
        """Room for so many bytes: `with q.claim(n) as view: view[:] = …` puts them at the end, and nothing after an exception."""
        return Claim(self._handle.claim(nbytes, timeout_of(block, timeout)))

    def lease_bytes(self, block: bool = True, timeout: float | None = None) -> LeasedBytes:
        """The next item as bytes where it lies, read-only: `numpy.frombuffer(leased)` copies nothing."""
        return self._handle.lease(1, timeout_of(block, timeout))[0]

    # ── questions, and the end ───────────────────────────────────────────────

    def qsize(self) -> int:
        return self._handle.size()

    def full(self) -> bool:
        return self._handle.full()

    def stats(self) -> dict[str, Any]:
        return {
            "queue_id": self.descriptor.queue_id,
            "queue_type": self._type,
            "maxsize": self._maxsize,
            "capacity_bytes": self._capacity,
            **self._handle.stats(),
        }

    def join(self, timeout: float | None = None) -> None:
        self._handle.join(timeout_of(True, timeout))

    def shutdown(self, immediate: bool = False) -> None:
        self._handle.shutdown(immediate)

    def unlink(self) -> None:
        """Takes the name away: those attached go on, whoever comes later starts a new queue."""
        self._handle.unlink()

    def close(self) -> None:
        """@raise BufferError while views of items or claims are in use"""
        if self._closed:
            return
        self._handle.close()
        _open_queues.discard(self)
        self._detach()
        self._closed = True

    def _detach(self) -> None:
        for loop in self._loops():
            self._leave(loop)
        self._lists.clear()

    def _loops(self) -> list[asyncio.AbstractEventLoop]:
        """In which calls of this process have waited."""
        refs = self._lists.keyrefs() if self._pid == os.getpid() else []
        return [loop for ref in refs if (loop := ref()) is not None]

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        for waiting in list(self._lists.pop(loop, {}).values()):
            waiting.detach(QueueClosedError("This handle on the queue was closed. Resolve the descriptor again."))

    def __del__(self) -> None:
        # The handle itself is closed with the last of its leases and claims, which keep it.
        if hasattr(self, "_lists"):
            self._detach()

    # ── asyncio ──────────────────────────────────────────────────────────────

    def _list_of(self, side: int) -> WaitList:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():  # the lists are the parent's
            self._pid = os.getpid()
            self._lists = weakref.WeakKeyDictionary()
        of_loop = self._lists.get(loop)
        if of_loop is None:
            for other in self._loops():
                if other.is_closed():  # a task that nobody cancelled would keep its place in the line
                    self._leave(other)
            of_loop = self._lists[loop] = {}
        waiting = of_loop.get(side)
        if waiting is None:
            waiting = of_loop[side] = WaitList(self._handle, loop, side, self._audience)
        return waiting

    async def aput(self, item: T, timeout: float | None = None) -> None:
        timeout_of(True, timeout)
        data, codec = self._encode(item)
        waiting = self._list_of(PUTTERS)
        if not waiting.is_taken:
            try:
                return self._handle.put(data, codec, 0.0)
            except QueueFullError:
                if timeout == 0:
                    raise
        kept = data if type(data) is bytes else bytes(data)
        late = cast("Callable[[], Exception]", lambda: QueueFullError("The queue has no room for the item (items or bytes)."))
        await waiting.wait(lambda: self._handle.put(kept, codec, 0.0), timeout, late, None)

    async def _alease(self, timeout: float | None) -> _native.Item:
        timeout_of(True, timeout)
        waiting = self._list_of(GETTERS)
        if not waiting.is_taken:
            try:
                return self._handle.lease(1, 0.0)[0]
            except QueueEmptyError:
                if timeout == 0:
                    raise
        # On lease until the caller has it: one that was cancelled meanwhile gives it back.
        late = cast("Callable[[], Exception]", lambda: QueueEmptyError("The queue is empty."))
        held = await waiting.wait(lambda: self._handle.lease(1, 0.0)[0], timeout, late, lambda item: _end(item, False))
        return cast("_native.Item", held)

    async def aget(self, timeout: float | None = None) -> T:
        item = await self._alease(timeout)
        found = self._decoded(item)
        item.finish()
        return found

    async def alease(self, timeout: float | None = None) -> Lease[T]:
        return self._lease_of(await self._alease(timeout))


def _undo(items: list[_native.Item]) -> None:
    """Nobody has seen them."""
    for item in items:
        item.undo()


def _end(item: _native.Item, ack: bool) -> None:
    if ack:
        item.finish()
    else:
        item.release()


class Claim:
    """Room for one item. `commit()` puts it, `abort()` gives it up; as a context manager it does the one or the other."""

    def __init__(self, item: _native.Item) -> None:
        self._item = item
        self._view: memoryview | None = memoryview(item)

    @property
    def view(self) -> memoryview:
        if self._view is None:
            raise BufferError("the claim has ended: its bytes belong to the queue")
        return self._view

    def commit(self) -> None:
        """@raise BufferError while other views of the bytes (NumPy arrays) are in use"""
        self._end(self._item.finish)

    def abort(self) -> None:
        self._end(self._item.undo)

    def _end(self, how: Callable[[], object]) -> None:
        if self._view is not None:
            self._view.release()
            self._view = None
        how()

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()


#: An item on lease, as bytes where it lies, read-only: it has the buffer protocol, `ack()`, `release()`, `deliveries`,
#: `crashes` and `codec`; as a context manager it is released at the end, unless it was acknowledged.
LeasedBytes = _native.Item


@at_process_end
def close_all() -> None:
    """
    At the end of the process: whoever waits in a daemon thread is woken, and empty queues leave nothing behind. Producers that did
    not close are lost.
    """
    for queue in list(_open_queues):
        try:
            queue._handle.abandon()
            queue.close()
        except Exception:
            continue
