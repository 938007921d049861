"""Puts of one handle. Each item has a number, and the server remembers which numbers it has applied: so what was sent and not answered
when the connection broke is sent again, and applied once. A put is over when the server has told its outcome."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueError, QueueFullError
from ..memory_store import CLOSED
from ..waker import Waker
from .failures import Failure, as_another, from_wire, item_too_large, unknown_outcome, with_outcome_unknown
from .pending import unreachable
from .put_call import PutCall
from .wire import BATCH_BYTES, BATCH_ITEMS, Encoded, pack

#: How long the server may take to tell what of a call that was given up went in all the same.
_CANCEL_WITHIN = 1.0
#: So often the same items may be sent without an answer: something on the way may drop the stream because of them.
_MOST_BREAKS = 8
#: After so many they are sent alone, so that others are not taken for what breaks the stream.
_SUSPECT_AFTER = 3


class _Chunk:
    """Items that were sent together and are not answered."""

    __slots__ = ("call", "sequence", "items", "breaks")

    def __init__(self, call: PutCall, sequence: int, items: list[Encoded]) -> None:
        self.call = call
        self.sequence = sequence
        self.items = items
        #: How often the stream broke while it was the first without an answer.
        self.breaks = 0


class Puts:
    def __init__(self, client: Any) -> None:
        self._client = client
        #: With something to be sent, or a place for it, in order.
        self._line: deque[PutCall] = deque()
        #: Sent, in order of their sequence numbers.
        self._chunks: list[_Chunk] = []
        #: Those of them that have to be sent again, each once the one before is answered.
        self._again: list[_Chunk] = []
        self._cancels: list[tuple[int, int]] = []
        self._next = 1
        self._window_items = self._window_bytes = 1
        self._items_out = self._bytes_out = 0
        self._max_item = 0
        self._groups = 0

    @property
    def busy(self) -> bool:
        return bool(self._chunks) or any(call.unsent for call in self._line)

    @property
    def in_flight(self) -> bool:
        """Whether something was sent whose outcome is not known."""
        return bool(self._chunks)

    @property
    def known(self) -> int:
        """Every put up to this number has a known outcome."""
        return (self._chunks[0].sequence if self._chunks else self._next) - 1

    def call(self, items: Sequence[Encoded], timeout: float | None, waker: Waker | None) -> PutCall:
        return PutCall(self, items, timeout, waker, group=0)

    def call_of_many(self, timeout: float | None, waker: Waker) -> PutCall:
        """Its items are to be fed. They stand and fall in order."""
        self._groups += 1
        call = PutCall(self, (), timeout, waker, group=self._groups)
        call.reads = True
        return call

    def add(self, call: PutCall) -> None:
        self._line.append(call)
        self._client.connection.flush()

    def feed(self, call: PutCall, items: Sequence[Encoded], more: bool) -> None:
        if call.failing is None:
            call.unsent.extend(items)
        call.reads = more
        if call.complete:
            self.finish(call)
        self._client.connection.flush()

    # ── to the server ────────────────────────────────────────────────────────

    def collect(self, frame: Any) -> tuple[bool, float | None]:
        """Adds what may be sent now to the frame. Whether more is ready for another one, and after how many seconds there may be."""
        for first, count in self._cancels:
            frame.cancels.add().puts.CopyFrom(self._client.messages.Range(first=first, count=count))
        self._cancels = []
        if self._again:
            if self._again[0] is self._chunks[0]:
                frame.puts.append(self._message(self._again.pop(0)))
            return False, None
        room = [BATCH_ITEMS, BATCH_BYTES]
        holder: PutCall | None = None
        again: float | None = None
        for call in list(self._line):
            # One that does not wait for room is not held up by those that do: the server decides at once.
            if holder is not None and not call.immediate and not holder.is_passed_by(call):
                if holder.reads and not holder.unsent:
                    again = holder.silent_in
                continue
            if not self._send(call, frame, room):
                return True, None
            if holder is None and (call.unsent or call.reads):
                holder = call
        return False, again

    def _send(self, call: PutCall, frame: Any, room: list[int]) -> bool:
        """As much of the call as fits. False: the frame is full."""
        items: list[Encoded] = []
        fits = True
        while call.unsent:
            length = len(call.unsent[0][0])
            if length > self._max_item:
                call.fail_with(item_too_large(length, self._max_item))
                break
            if not call.immediate and not self._admits(length):
                break
            if room[0] == 0 or (length > room[1] and room[1] < BATCH_BYTES):
                fits = False
                break
            room[0] -= 1
            room[1] -= length
            items.append(call.unsent.popleft())
            self._items_out += 1
            self._bytes_out += length
        if items:
            chunk = _Chunk(call, self._next, items)
            self._next += len(items)
            self._chunks.append(chunk)
            call.chunks += 1
            frame.puts.append(self._message(chunk))
        if call.failing is not None:
            self._withdraw(call)
            if call.complete:
                self.finish(call)
        elif not call.unsent:
            if call.reads:
                call.wake()
            else:
                self._withdraw(call)
            if not call.immediate:
                call.arm(late=True)
        return fits

    def _admits(self, length: int) -> bool:
        if self._items_out == 0:
            return True
        return self._items_out < self._window_items and self._bytes_out + length <= self._window_bytes

    def _message(self, chunk: _Chunk) -> Any:
        messages, call = self._client.messages, chunk.call
        return messages.Put(
            sequence=chunk.sequence,
            items=pack(messages, chunk.items),
            wait_ms=call.remaining_ms(),
            group=call.group,
            known_puts=self.known,
        )

    def cancel(self, call: PutCall) -> None:
        for chunk in self._chunks:
            if chunk.call is call:
                self._cancels.append((chunk.sequence, len(chunk.items)))
        self._client.connection.flush()

    # ── from the server ──────────────────────────────────────────────────────

    def on_result(self, result: Any) -> None:
        for part in result.applied:
            self._answered(part.first, part.count, None)
        for rejection in result.rejected:
            error = from_wire(rejection.code, rejection.message)
            self._answered(rejection.puts.first, rejection.puts.count, error)
        if self._line or self._again:
            self._client.connection.flush()

    def on_opened(self, opened: Any, same_instance: bool) -> list[Any]:
        """A stream is up again. What has to be sent once more."""
        self._window_items, self._window_bytes = opened.window_items, opened.window_bytes
        self._max_item = opened.max_item_bytes
        self._cancels = []
        if not same_instance:
            for chunk in self._chunks:
                chunk.call.elsewhere = True
        elif not opened.remembered:
            self.forgotten()
        else:
            through = opened.applied_through
            at = 0
            for first, count in [*((gap.first, gap.count) for gap in opened.not_applied), (through + 1, 0)]:
                first = min(first, through + 1)
                if first > at:
                    self._answered(at, first - at, None)
                at = first + count
        if not self._chunks or self._chunks[0].breaks < _SUSPECT_AFTER:
            return [self._message(chunk) for chunk in self._chunks]
        self._again = list(self._chunks)
        return []

    def _answered(self, first: int, count: int, rejection: QueueError | None) -> None:
        """Notes the outcome of the puts numbered first … first + count - 1."""
        end = first + count
        for chunk in list(self._chunks):
            if chunk.sequence >= end:
                break
            told = min(end, chunk.sequence + len(chunk.items)) - max(first, chunk.sequence)
            if told <= 0:
                continue
            call = chunk.call
            if rejection is None:
                call.applied += told
            else:
                call.refused += told
                call.fail_with(rejection)
                self._withdraw(call)
            # Outcomes of one chunk come in its order, so what is left is its tail.
            self._items_out -= told
            self._bytes_out -= sum(len(data) for data, _ in chunk.items[:told])
            chunk.items = chunk.items[told:]
            chunk.sequence += told
            if not chunk.items:
                self._chunks.remove(chunk)
                call.chunks -= 1
                if call.complete:
                    self.finish(call)
        self._again = [chunk for chunk in self._again if chunk in self._chunks]

    def on_down(self, failure: Failure, was_open: bool) -> None:
        """The stream broke. Calls that do not wait, or were given up, end here; the others wait for the next one."""
        self._again = []
        where = self._client.connection.where
        if was_open and self._chunks:
            first = self._chunks[0]
            first.breaks += 1
            if first.breaks >= _MOST_BREAKS:
                self._fail(
                    first.call,
                    unknown_outcome(
                        f"sent {first.breaks} times to {where}, and each time the connection broke before an answer came: {failure.error}"
                    ),
                )
        for call in self._calls():
            if call.failing is not None:
                self.finish(call)
            elif failure.permanent or call.immediate:
                sent = unknown_outcome(f"it was sent to {where} but not acknowledged: {failure.error}")
                self._fail(call, sent if call.chunks > 0 else failure.error)
            elif call.chunks > 0:
                call.arm(late=False)

    def forgotten(self) -> None:
        """The server forgot this client, or will have: nobody can tell whether what was sent is in the queue."""
        reason = "the server no longer remembers this client, so that it cannot be sent again without the risk of applying it twice"
        for call in self._calls():
            if call.chunks > 0:
                self._fail(call, unknown_outcome(reason))

    def fail_unsent(self, error: QueueError) -> None:
        """Calls whose items were not all sent when the server said that it is stopping."""
        for call in list(self._line):
            call.fail_with(error)
            self._withdraw(call)
            if call.complete:
                self.finish(call)

    # ── ends ─────────────────────────────────────────────────────────────────

    def give_up_all(self) -> None:
        """They end once the server has told what of them went in."""
        for call in self._calls():
            self._give_up(call, QueueClosedError(CLOSED))

    def fail_all(self) -> None:
        for call in self._calls():
            self._fail(call, QueueClosedError(CLOSED))

    def _calls(self) -> list[PutCall]:
        return list(dict.fromkeys([*(chunk.call for chunk in self._chunks), *self._line]))

    def _withdraw(self, call: PutCall) -> None:
        if call in self._line:
            self._line.remove(call)
            self._client.connection.flush()

    def _fail(self, call: PutCall, error: BaseException) -> None:
        call.fail_with(error)
        self.finish(call)

    def finish(self, call: PutCall) -> None:
        if call.done:
            return
        self._withdraw(call)
        error = call.failing
        is_known = call.chunks == 0 and not call.elsewhere
        self._disown(call)
        if isinstance(error, QueueError):
            if is_known or error.outcome is not None:
                # Of its own, which says how many of its items are in: what ended others, too, is theirs.
                error = as_another(error, str(error))
            else:
                told = f"{error} The server has not said what became of what was sent to it; its outcome is unknown."
                error = with_outcome_unknown(as_another(error, told))
        call.end(call.applied, error)

    def _disown(self, call: PutCall) -> None:
        """Forgets the sent parts of a call that ends without knowing their outcome."""
        for chunk in self._chunks:
            if chunk.call is call:
                self._items_out -= len(chunk.items)
                self._bytes_out -= sum(len(data) for data, _ in chunk.items)
        self._chunks = [chunk for chunk in self._chunks if chunk.call is not call]

    def _give_up(self, call: PutCall, error: BaseException) -> None:
        """The caller wants no more of it; the server tells which items went in all the same, and must not take long over it."""
        call.fail_with(error)
        self._withdraw(call)
        if call.chunks == 0 or not self._client.connection.is_open:
            self.finish(call)
            return
        self.cancel(call)
        call.expire_in(_CANCEL_WITHIN)

    def expire(self, call: PutCall) -> None:
        if call.failing is not None:  # what was to be told of it was not told
            self.finish(call)
            return
        connection = self._client.connection
        sent = call.chunks > 0 or call.applied > 0
        waited = call.elapsed_ms()
        full = QueueFullError(f"the queue had no room within {waited} ms")
        if not connection.is_open:
            if not sent and call.extend(connection.last_failure):
                return
            failure = connection.last_failure
            if call.chunks == 0:
                self._fail(call, unreachable("put", connection.where, call, failure))
            else:
                reason = "no answer" if failure is None else failure.error
                waiting = f"sent to {connection.where} and waited {waited} ms for the connection to come back: {reason}"
                self._fail(call, unknown_outcome(waiting))
        elif call.chunks == 0:
            self._expire_in_line(call, full)
        else:
            silent = unknown_outcome(f"sent to {connection.where}, which has not answered within {waited} ms")
            if not call.immediate and not call.unsent and not call.reads:
                self.cancel(call)  # the server should have answered by itself
                self._fail(call, silent)
            else:
                self._give_up(call, silent if call.immediate else full)

    def _expire_in_line(self, call: PutCall, full: QueueFullError) -> None:
        """There is a stream, and nothing of the call is on its way: whether there was no room is known only where room is what the line
        waits for."""
        where, waited = self._client.connection.where, call.elapsed_ms()
        first = next((other for other in self._line if other.unsent), None)
        if self._again:
            reason = f"what was put before it has broken the connection {self._chunks[0].breaks} times"
        elif first is None or not self._admits(len(first.unsent[0][0])):
            self._fail(call, full)
            return
        elif not call.late:
            call.arm(late=True)  # the line moves: a moment, and the server knows
            return
        else:
            reason = "other puts of this handle were sent before it"
        self._fail(call, QueueConnectionError(f"put: not sent to {where} within {waited} ms, since {reason}"))
