"""One handle on one remote queue: ties the connection to the puts, gets and questions that travel on it."""

from __future__ import annotations

import copy
import json
import os
import secrets
import threading
import time
import weakref
from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueError
from ..memory_store import CLOSED
from ..process_end import at_process_end, attend_process_end
from ..schema import codec_of_schema
from ..waker import LoopWaker, ThreadWaker
from .connection import Connection
from .failures import Failure
from .gets import Gets
from .pending import PendingCall
from .puts import Puts
from .queries import Queries
from .remote import Remote
from .settles import Leases, Settles
from .wire import PROTOCOL_VERSION, load

#: How long the end of a handle waits for what is under way, and as long again for the server to let go.
_CLOSE_WITHIN = 2.0

#: Those with a handle, and those whose connection has not ended.
_clients: weakref.WeakSet[RpcClient] = weakref.WeakSet()


@at_process_end
def _close_all() -> None:
    """What is under way is told, and no thread is left inside gRPC."""
    for client in list(_clients):
        client.close()


def _learn_schema(text: bytes) -> None:
    """From then on its items can be read in this process. One that is none is the server's mistake: whoever meets such an item says so."""
    try:
        codec_of_schema(json.loads(text))
    except (ValueError, QueueError):
        pass


class RpcClient:
    def __init__(self, remote: Remote, *, maxsize: int | None, exclusive: bool) -> None:
        self.messages = load()[1]
        self.lock = threading.RLock()
        self._remote = remote
        self._maxsize = maxsize
        self._exclusive = exclusive
        self._pid = os.getpid()
        self.connection = Connection(remote, self.lock, self)
        self.settles = Settles(self.messages, self.connection.flush)
        self.leases = Leases(self)
        self.puts = Puts(self)
        self.gets = Gets(self)
        self.queries = Queries(self)
        self._client_id = secrets.token_bytes(16)
        #: The server that answered last: after a restart it is another.
        self._instance = b""
        self._streams = 0
        self._remember = float("inf")
        #: When the server will have forgotten this client.
        self._forgotten_at: float | None = None
        #: The server is going down: this stream only brings what is under way to its end.
        self._draining = False
        self._next_request = 0
        #: By the program, for good.
        self.closing = False
        _clients.add(self)
        attend_process_end()

    def next_request(self) -> int:
        self._next_request += 1
        return self._next_request

    # ── calls ────────────────────────────────────────────────────────────────

    @property
    def is_copy(self) -> bool:
        """A forked child's, where nobody may be there to release the lock."""
        return self._pid != os.getpid()

    def check_open(self) -> None:
        if self.is_copy:
            raise QueueClosedError(
                "This handle was made before a fork, and gRPC does not go on in the child. Resolve the descriptor there, "
                "in a child of spawn or forkserver."
            )
        if self.closing:
            raise QueueClosedError(CLOSED)

    def wait(self, call: PendingCall, *, started: bool = False) -> Any:
        """In a thread. What a signal's handler raises aborts the call."""
        waker = call.waker
        assert isinstance(waker, ThreadWaker)
        try:
            if not started:
                self._start(call)
            while not call.done:
                waker.wait(self.left(call))
            return self._result(call)
        except BaseException as error:
            self._interrupted(call, error)
            raise

    async def await_(self, call: PendingCall) -> Any:
        waker = call.waker
        assert isinstance(waker, LoopWaker)
        try:
            self._start(call)
            while not call.done:
                await waker.wait(self.left(call))
            return self._result(call)
        except BaseException as error:
            self._interrupted(call, error)
            raise

    def _start(self, call: PendingCall) -> None:
        self.check_open()  # of a copy before the lock
        with self.lock:
            self.check_open()
            call.start()

    def left(self, call: PendingCall) -> float | None:
        """Seconds until its limit; one whose limit has come expires."""
        with self.lock:
            while not call.done and call.limit is not None:
                left = call.limit - time.monotonic()
                if left > 0:
                    return left
                call.expire()
            return 0.0 if call.done else None

    def _result(self, call: PendingCall) -> Any:
        if call.error is not None:
            # One failure may be that of several calls.
            raise copy.copy(call.error) if isinstance(call.error, QueueError) else call.error
        return call.outcome

    def _interrupted(self, call: PendingCall, error: BaseException) -> None:
        if not (call.done and call.error is not None and isinstance(error, type(call.error))):
            self.abort(call)

    def abort(self, call: PendingCall) -> None:
        if not self.is_copy:
            with self.lock:
                call.abort()

    # ── the end ──────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Idempotent; one that a signal's handler has ended goes on with the next. What was about to be handed over still is; what waits
        fails with QueueClosedError."""
        if self.is_copy:
            return
        with self.lock:
            self.closing = True
            error = QueueClosedError(CLOSED)
            self.puts.give_up_all()
            self.gets.fail_all(error)
            self.gets.give_up_held()
            self.queries.fail_all(error)
            self.connection.leave(_CLOSE_WITHIN)
        self.connection.join(_CLOSE_WITHIN)
        with self.lock:
            self.puts.fail_all()

    def abandon(self) -> None:
        """Nobody can reach the handle any more. Its thread tells what is to be told, and nobody waits for that but the end of the process."""
        if not self.is_copy:
            with self.lock:
                self.closing = True
                self.connection.leave(_CLOSE_WITHIN)

    def has_pending(self) -> bool:
        # What waits for its program goes back unless we come back in time.
        return self._has_calls() or self.settles.busy or self.gets.any_held

    def is_awaited(self) -> bool:
        """The server is told what the program has of its items as long as there may be one: where nobody listens, what was on lease has ended
        with whoever lent it."""
        return self._has_calls() or (self.settles.busy and not self.connection.is_deserted)

    def _has_calls(self) -> bool:
        return self.puts.busy or self.gets.busy or self.queries.busy

    def _settled(self) -> None:
        if self.closing:
            self.connection.look_again()

    # ── what the connection asks ─────────────────────────────────────────────

    def open_frame(self) -> Any:
        self._streams += 1
        return self.messages.Open(
            protocol_version=PROTOCOL_VERSION,
            queue_id=self._remote.queue_id,
            client_id=self._client_id,
            server_instance=self._instance,
            known_puts=self.puts.known,
            open_settles=self.settles.take_unanswered(),
            holds=[self.messages.Range(first=first, count=count) for first, count in self.gets.held_tags],
            maxsize=self._maxsize,
            # Having been here once, the queue exists.
            exclusive=self._exclusive and not self._instance,
            stream=self._streams,
        )

    def collect(self) -> tuple[Any, bool, float | None]:
        frame = self.messages.ClientFrame()
        more, again = False, None
        if not self._draining:
            more, again = self.puts.collect(frame)
            self.gets.collect(frame)
            self.queries.collect(frame)
        self.settles.collect(frame)
        self._settled()
        return (frame if frame.ByteSize() > 0 else None), more, again

    def on_opened(self, opened: Any) -> None:
        self._forgotten_at = None
        same = self._instance == opened.server_instance
        self._instance = opened.server_instance
        self._remember = opened.remember_ms / 1000
        for text in opened.schemas:
            _learn_schema(text)
        again = self.puts.on_opened(opened, same)
        self.settles.on_opened(opened, same)
        self.gets.on_opened(opened)
        self.connection.send_first([self.messages.ClientFrame(puts=[put]) for put in again])

    def on_frame(self, frame: Any) -> None:
        if frame.HasField("put_result"):
            self.puts.on_result(frame.put_result)
        if frame.HasField("settled"):
            self.settles.on_settled(frame.settled)
        for delivery in frame.deliveries:
            self.gets.on_delivery(delivery)
        for result in frame.query_results:
            self.queries.on_result(result)
        for failure in frame.failures:
            if not self.gets.on_failure(failure):
                self.queries.on_failure(failure)
        if frame.stopping:
            self._on_stopping()
        self.leave_stopping()
        self._settled()

    def _stopping(self) -> QueueConnectionError:
        return QueueConnectionError(f"the server at {self.connection.where} is stopping")

    def _on_stopping(self) -> None:
        error = self._stopping()
        self.puts.fail_unsent(error)
        self.gets.fail_all(error)
        self.queries.stop(error)
        self._draining = True

    def leave_stopping(self) -> None:
        """The server waits for this before it goes; calls made meanwhile are for the one that comes next."""
        if self._draining and not (self.puts.in_flight or self.settles.busy or self.leases.open > 0):
            self._draining = False
            self.connection.disconnect(self._stopping())

    def on_down(self, failure: Failure, was_open: bool) -> None:
        self._draining = False
        self.puts.on_down(failure, was_open)
        self.leases.on_down()
        self.gets.on_down(failure)
        self.queries.on_down(failure)
        if self.puts.in_flight and self._forgotten_at is None:
            self._forgotten_at = time.monotonic() + self._remember
        self._settled()

    def wake_at(self) -> float | None:
        return self._forgotten_at

    def on_time(self) -> None:
        self._forgotten_at = None
        self.puts.forgotten()
