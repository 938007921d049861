"""Questions to the server (qsize, stats), shutdown and join: asked again after a reconnect, and given up after a fixed time, but for a join,
which waits as long as its caller does."""

from __future__ import annotations

from typing import Any

from ..errors import QueueConnectionError, QueueError
from ..waker import Waker
from .failures import Failure, from_wire
from .pending import PendingCall, unreachable
from .wire import CANNOT_KNOW

QUERY, SHUTDOWN, JOIN = "query", "shutdown", "join"


class Question(PendingCall):
    def __init__(
        self, owner: Queries, kind: str, waker: Waker, timeout: float | None = 0, immediate: bool = False
    ) -> None:
        super().__init__(timeout, waker)
        self.kind = kind
        #: Of a shutdown.
        self.at_once = immediate
        self.request = owner.client.next_request()
        self.sent = False
        self._owner = owner
        self.arm(late=True)

    def start(self) -> None:
        self._owner.add(self)

    def expire(self) -> None:
        connection = self._owner.client.connection
        waits = not self.immediate
        if waits and not connection.is_open and self.extend(connection.last_failure):
            return
        if waits and connection.is_open:
            late = QueueConnectionError(
                f"{self.kind}: {connection.where} has not answered within {self.elapsed_ms()} ms"
            )
        else:
            late = unreachable(self.kind, connection.where, self, connection.last_failure)
        self._owner.give_up(self, late)

    def abort(self) -> None:
        self._owner.give_up(self, QueueConnectionError(f"{self.kind}: given up"))


class Queries:
    def __init__(self, client: Any) -> None:
        self.client = client
        self._calls: dict[int, Question] = {}
        self._unsent: list[Question] = []
        self._cancels: list[int] = []

    @property
    def busy(self) -> bool:
        return bool(self._calls)

    def add(self, call: Question) -> None:
        self._calls[call.request] = call
        self._unsent.append(call)
        self.client.connection.flush()

    def collect(self, frame: Any) -> None:
        for request in self._cancels:
            frame.cancels.add(join=request)
        self._cancels = []
        for call in self._unsent:
            call.sent = True
            if call.kind == QUERY:
                frame.queries.add(request=call.request)
            elif call.kind == JOIN:
                frame.joins.add(request=call.request, wait_ms=call.remaining_ms())
            else:
                frame.shutdowns.add(request=call.request, immediate=call.at_once)
        self._unsent = []

    def on_result(self, result: Any) -> None:
        call = self._calls.get(result.request)
        if call is not None:
            self._finish(call, result)

    def on_failure(self, failure: Any) -> None:
        call = self._calls.get(failure.request)
        if call is None:
            return
        cannot = failure.code == CANNOT_KNOW
        self._finish(call, None, TypeError(failure.message) if cannot else from_wire(failure.code, failure.message))

    def on_down(self, failure: Failure) -> None:
        self._cancels = []
        for call in list(self._calls.values()):
            call.sent = False
            if failure.permanent:
                self._finish(call, None, failure.error)
        self._unsent = list(self._calls.values())

    def stop(self, error: QueueError) -> None:
        """The server is going down."""
        for call in [call for call in self._calls.values() if call.kind == JOIN]:
            self._finish(call, None, error)

    def fail_all(self, error: QueueError) -> None:
        for call in list(self._calls.values()):
            self._finish(call, None, error)

    def give_up(self, call: Question, error: QueueError) -> None:
        """The answer is not waited for any more."""
        if call.request in self._calls and call.kind == JOIN and call.sent and self.client.connection.is_open:
            self._cancels.append(call.request)
            self.client.connection.flush()
        self._finish(call, None, error)

    def _finish(self, call: Question, outcome: Any, error: BaseException | None = None) -> None:
        self._calls.pop(call.request, None)
        if call in self._unsent:
            self._unsent.remove(call)
        call.end(outcome, error)
