"""Gets of one handle, in order. An item that arrived is the queue's until its program takes it, which the server is told: so it comes
again at once when the program dies before, and reaches one program once, however often the connection breaks in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueEmptyError, QueueError
from ..memory_store import CLOSED
from ..waker import Waker
from .failures import Failure, from_wire
from .pending import PendingCall, unreachable
from .wire import Encoded, covered_by, unpack


class Part:
    """Items that were delivered together."""

    __slots__ = ("tag", "items", "deliveries", "crashes", "held")

    def __init__(self, tag: int, items: list[Encoded], deliveries: list[int], crashes: list[int]) -> None:
        self.tag = tag
        self.items = items
        self.deliveries = deliveries or [1] * len(items)
        self.crashes = crashes or [0] * len(items)
        #: The server has them for us.
        self.held = True

    def split(self, held: Callable[[int], bool]) -> Iterator[Part]:
        """In parts of which all items are held, or none."""
        start = 0
        for at in range(1, len(self.items) + 1):
            if at == len(self.items) or held(self.tag + at) != held(self.tag + start):
                part = Part(self.tag + start, self.items[start:at], self.deliveries[start:at], self.crashes[start:at])
                part.held = self.held and held(part.tag)
                yield part
                start = at


class GetCall(PendingCall):
    def __init__(self, gets: Gets, most: int, lease: bool, timeout: float | None, waker: Waker) -> None:
        super().__init__(timeout, waker)
        self._gets = gets
        self.most = most
        self.lease = lease
        self.request = 0
        self.parts: list[Part] = []
        #: Of the stream that brought it.
        self.epoch = 0
        #: There was more than one delivery of a lease may bring.
        self.more = False

    def start(self) -> None:
        self._gets.add(self)

    def expire(self) -> None:
        self._gets.expire(self)

    def abort(self) -> None:
        self._gets.abort(self)


class Gets:
    def __init__(self, client: Any) -> None:
        self._client = client
        #: In the order in which they were made; those without a request are to be sent.
        self._calls: list[GetCall] = []
        self._sent: dict[int, GetCall] = {}
        #: Done, and not taken by their programs.
        self._held: dict[GetCall, None] = {}
        self._window = 1
        self._cancels: list[int] = []

    @property
    def busy(self) -> bool:
        return bool(self._calls)

    @property
    def any_held(self) -> bool:
        """Whether items wait for their programs that are not on lease."""
        return any(not call.lease for call in self._held)

    @property
    def held_tags(self) -> list[tuple[int, int]]:
        """Their first and count, for Open, in order."""
        parts = [part for call in self._held if not call.lease for part in call.parts if part.held]
        return sorted((part.tag, len(part.items)) for part in parts)

    def add(self, call: GetCall) -> None:
        self._calls.append(call)
        self._client.connection.flush()

    def take(self, call: GetCall, count: int | None = None) -> None:
        """The program has the first `count` items; the others go back."""
        self._leave_held(call)
        back: list[tuple[Part, int]] = []
        for part in call.parts:
            mine = len(part.items) if count is None else min(count, len(part.items))
            if count is not None:
                count -= mine
            if mine > 0 and part.held:
                self._client.settles.settle(part.tag, mine, False)
            back.append((part, mine))
        self._give_back(back)

    def lend(self, call: GetCall) -> None:
        """The program has the lease."""
        count = sum(len(part.items) for part in call.parts)
        self._leave_held(call)
        self._client.leases.open += count

    def holds(self, call: GetCall) -> bool:
        """It is done, and its program has taken nothing of it."""
        return call in self._held

    def _leave_held(self, call: GetCall) -> None:
        """@raise QueueClosedError when it went back with its handle"""
        if call not in self._held:
            raise QueueClosedError(CLOSED)
        del self._held[call]

    def _give_back(self, parts: list[tuple[Part, int]]) -> None:
        """Nobody saw what each part has from an item of it on."""
        for part, at in reversed(parts):
            if part.held and at < len(part.items):
                self._client.settles.settle(part.tag + at, len(part.items) - at, True, unseen=True)

    def collect(self, frame: Any) -> None:
        for request in self._cancels:
            frame.cancels.add(get=request)
        self._cancels = []
        for call in self._calls:
            if call.request != 0:
                continue
            if len(self._sent) >= self._window:
                return
            call.request = self._client.next_request()
            self._sent[call.request] = call
            wait_ms = call.remaining_ms()
            frame.gets.add(request=call.request, max=call.most, wait_ms=wait_ms, given=not call.lease)
            if not call.immediate:
                call.arm(late=True)

    def on_delivery(self, delivery: Any) -> None:
        part = Part(delivery.tag, unpack(delivery.items), list(delivery.deliveries), list(delivery.crashes))
        call = self._sent.get(delivery.request)
        if call is None:
            if part.items:
                self._client.settles.settle(part.tag, len(part.items), True, unseen=True)
            return
        call.more = delivery.more
        if part.items:
            call.parts.append(part)
        if call.lease or not delivery.more:
            self._complete(call)

    def _complete(self, call: GetCall) -> None:
        self._held[call] = None
        call.epoch = self._client.leases.epoch
        self._finish(call, None)

    def on_failure(self, failure: Any) -> bool:
        call = self._sent.get(failure.request)
        if call is None:
            return False
        self._fail(call, from_wire(failure.code, failure.message))
        return True

    def on_opened(self, opened: Any) -> None:
        self._window = opened.window_items
        self._cancels = []
        held = covered_by(opened.held)
        for call in self._held:
            # A new list: the program may be reading the old one.
            if not call.lease:
                call.parts = [run for part in call.parts for run in part.split(held)]

    def on_down(self, failure: Failure) -> None:
        for call in list(self._calls):
            if call.parts:
                self._complete(call)
            elif failure.permanent or call.immediate:
                self._fail(call, failure.error)
            else:  # it keeps its place
                call.request = 0
                call.arm(late=False)
        self._sent.clear()

    def fail_all(self, error: QueueError) -> None:
        for call in list(self._calls):
            self._fail(call, error)

    def give_up_held(self) -> None:
        """The handle is closed: what its programs have not taken goes back, the last first."""
        for call in reversed(list(self._held)):
            self.abort(call)

    def _fail(self, call: GetCall, error: QueueError) -> None:
        """One that has a part of what it asked for ends well."""
        if call.parts:
            self._complete(call)
        else:
            self._finish(call, error)

    def _finish(self, call: GetCall, error: QueueError | None) -> None:
        if call in self._calls:
            self._calls.remove(call)
        self._sent.pop(call.request, None)
        if self._calls:  # there may be room in the window
            self._client.connection.flush()
        call.end(call.parts, error)

    def _cancel(self, call: GetCall) -> None:
        if call.request in self._sent and self._client.connection.is_open:
            self._cancels.append(call.request)
            self._client.connection.flush()

    def abort(self, call: GetCall) -> None:
        """The program stops waiting. What is on its way to it goes back, and so does what it had not taken."""
        if call.done and call not in self._held:
            return  # taken, or it had failed
        self._cancel(call)
        if call in self._held:
            del self._held[call]
            if call.lease and call.epoch != self._client.leases.epoch:
                return  # it went back with its stream
        self._give_back([(part, 0) for part in call.parts])
        self._finish(call, QueueEmptyError("get: given up"))

    def expire(self, call: GetCall) -> None:
        connection = self._client.connection
        where = connection.where
        if not connection.is_open and call.extend(connection.last_failure):
            return
        if not connection.is_open:
            self._finish(call, unreachable("get", where, call, connection.last_failure))
        elif call.request == 0:
            self._expire_in_line(call)
        else:
            self._cancel(call)
            late = QueueConnectionError(f"get: {where} has not answered within {call.elapsed_ms()} ms")
            self._fail(call, late)

    def _expire_in_line(self, call: GetCall) -> None:
        """There is a stream, and the server was not asked on behalf of the call: that the queue was empty is known where others wait before it."""
        if len(self._sent) >= self._window:
            self._finish(call, QueueEmptyError("The queue is empty."))
        elif not call.late:
            call.arm(late=True)  # a moment, and the server knows
        else:
            where = self._client.connection.where
            self._finish(call, QueueConnectionError(f"get: not sent to {where} within {call.elapsed_ms()} ms"))
