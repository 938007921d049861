"""Gets of one handle, in order. An item that arrived is the queue's until its program takes it, which the server is told: so it comes
again at once when the program dies before, and reaches one program once, however often the connection breaks in between."""

from __future__ import annotations

from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueEmptyError, QueueError
from ..memory_store import CLOSED
from ..waker import Waker
from .failures import Failure, from_wire
from .pending import PendingCall, unreachable
from .settles import LOST
from .wire import Encoded, unpack


class Part:
    """Items that were delivered together."""

    __slots__ = ("tag", "items", "deliveries", "crashes", "lost")

    def __init__(self, tag: int, items: list[Encoded], deliveries: list[int], crashes: list[int]) -> None:
        self.tag = tag
        self.items = items
        self.deliveries = deliveries or [1] * len(items)
        self.crashes = crashes or [0] * len(items)
        #: The server had given them back before it heard that they are ours.
        self.lost = False


class GetCall(PendingCall):
    def __init__(self, gets: Gets, most: int, lease: bool, timeout: float | None, waker: Waker) -> None:
        super().__init__(timeout, waker)
        self._gets = gets
        self.most = most
        self.lease = lease
        self.request = 0
        self.parts: list[Part] = []
        #: The server was told that they are ours, since the stream broke before the program had taken them.
        self.ours = False
        #: Parts of which it has not said whether they are.
        self.claims = 0
        #: Of those that are ours, what the program does not want: each part from an item of it on.
        self.unwanted: list[tuple[Part, int]] = []
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
        #: With unwanted items that wait for the server to say whose they are.
        self._going_back: list[GetCall] = []
        self._window = 1
        self._cancels: list[int] = []

    @property
    def busy(self) -> bool:
        return bool(self._calls or self._going_back)

    def give_up_going_back(self) -> int:
        """How many items were to be put in front, and are in no queue as far as is known."""
        calls, self._going_back = self._going_back, []
        return sum(len(part.items) - at for call in calls for part, at in call.unwanted)

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
            if mine > 0 and not call.ours:
                self._client.settles.settle(part.tag, mine, False)
            if mine < len(part.items):
                back.append((part, mine))
        self._give_back(call, back)

    def lend(self, call: GetCall) -> None:
        """The program has the lease."""
        self._leave_held(call)
        self._client.leases.open += sum(len(part.items) for part in call.parts)

    def _leave_held(self, call: GetCall) -> None:
        """@raise QueueClosedError when it went back with its handle"""
        if call not in self._held:
            raise QueueClosedError(CLOSED)
        del self._held[call]

    def _give_back(self, call: GetCall, parts: list[tuple[Part, int]]) -> None:
        """Nobody saw what each part has from an item of it on."""
        if not call.ours:
            for part, at in reversed(parts):
                self._client.settles.settle(part.tag + at, len(part.items) - at, True, unseen=True)
        elif parts:
            call.unwanted = parts
            self._going_back.append(call)
            self._put_back(call)

    def _put_back(self, call: GetCall) -> None:
        """What is ours goes in front of everything, once the server has said what is."""
        if call.claims > 0 or call not in self._going_back:
            return
        self._going_back.remove(call)
        puts = self._client.puts
        for part, at in reversed(call.unwanted):
            if not part.lost:
                puts.add(puts.call(part.items[at:], None, None, front=True))

    def _claim(self, call: GetCall, part: Part) -> None:
        call.claims += 1

        def answered(result: str) -> None:
            part.lost = result == LOST
            call.claims -= 1
            self._put_back(call)

        self._client.settles.settle(part.tag, len(part.items), False, answered)

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
        for call in self._held:
            if not call.ours and not call.lease:
                call.ours = True
                for part in call.parts:
                    self._claim(call, part)

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
        self._give_back(call, [(part, 0) for part in call.parts])
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
