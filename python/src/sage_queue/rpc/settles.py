"""What the server is told of the items it delivered: that they are the program's, or go back. Kept until it has answered, and told
again when the connection breaks before that. And leases, which belong to their stream: when that breaks, their items go back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueError
from ..memory_store import CLOSED
from ..waker import ThreadWaker
from .failures import OUTCOME_UNKNOWN, with_outcome_unknown
from .pending import ANSWER_WITHIN, PendingCall
from .wire import covered_by

#: It took effect; it did not, since the items had gone back; the server that was asked is gone.
DONE, LOST, UNKNOWN = "done", "lost", "unknown"

Answered = Callable[[str], None]


class Settles:
    def __init__(self, messages: Any, flush: Callable[[], None]) -> None:
        self._messages = messages
        self._flush = flush
        self._open: dict[int, tuple[Any, Answered | None]] = {}
        self._unsent: list[Any] = []
        self._next = 1

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def take_unanswered(self) -> list[Any]:
        """For Open, which tells them all."""
        self._unsent = []
        return [message for message, _ in self._open.values()]

    def settle(
        self, tag: int, count: int, release: bool, answered: Answered | None = None, *, unseen: bool = False
    ) -> None:
        message = self._messages.Settle(settle=self._next, tag=tag, count=count, release=release, unseen=unseen)
        self._next += 1
        self._open[message.settle] = (message, answered)
        self._unsent.append(message)
        self._flush()

    def collect(self, frame: Any) -> None:
        if not self._unsent:
            return
        self._unsent[0].known_settles = next(iter(self._open), self._next) - 1
        frame.settles.extend(self._unsent)
        self._unsent = []

    def on_settled(self, settled: Any) -> None:
        for number in settled.done:
            self._answer(number, DONE)
        for number in settled.lost:
            self._answer(number, LOST)

    def on_opened(self, opened: Any, same_instance: bool) -> None:
        took_effect = set(opened.settled)
        known = same_instance and opened.remembered
        # What has come since we asked is told now, if it is of what the server still has for us.
        held = covered_by(opened.held)
        self._unsent = [message for message in self._unsent if held(message.tag)]
        late = {message.settle for message in self._unsent}
        for number in [number for number in self._open if number not in late]:
            self._answer(number, (DONE if number in took_effect else LOST) if known else UNKNOWN)

    def _answer(self, number: int, result: str) -> None:
        _, answered = self._open.pop(number, (None, None))
        if answered is not None:
            answered(result)


class _End(PendingCall):
    """An acknowledgement, or its like, whose answer is waited for."""

    def expire(self) -> None:
        self.end(UNKNOWN)

    def abort(self) -> None:
        self.end(UNKNOWN)


class Leases:
    def __init__(self, client: Any) -> None:
        self._client = client
        #: Items on lease now.
        self.open = 0
        #: Streams so far.
        self.epoch = 0

    def on_down(self) -> None:
        """The stream is gone, and what was on lease with it."""
        self.epoch += 1

    def end(self, epoch: int, tag: int, count: int, ack: bool, *, unseen: bool = False) -> None:
        """Waits for the server's word. unseen: what goes back does so as if it had not been delivered. @raise QueueConnectionError when items that are acknowledged went back; QueueClosedError"""
        client = self._client
        if client.is_copy:  # it is the parent's
            return
        with client.lock:
            self.open -= count
            client.leave_stopping()
            if client.closing:  # close() gives it back
                if ack:
                    raise QueueClosedError(CLOSED)
                return
            if epoch != self.epoch or not client.connection.is_open:
                return self._gone(LOST, ack)
            call = _End(0, ThreadWaker())
            client.settles.settle(tag, count, not ack, call.end, unseen=unseen)
            call.expire_in(ANSWER_WITHIN)
        result = client.wait(call, started=True)
        if result != DONE:
            self._gone(result, ack)

    def _gone(self, result: str, ack: bool) -> None:
        if not ack:
            return
        why = "it went back to the queue" if result == LOST else OUTCOME_UNKNOWN
        where = self._client.connection.where
        error: QueueError = QueueConnectionError(
            f"lease: the connection to {where} broke while the item was on lease; {why}"
        )
        raise error if result == LOST else with_outcome_unknown(error)
