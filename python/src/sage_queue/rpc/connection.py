"""One stream to a server, opened when it is needed and again when it breaks. Knows nothing of puts and gets.

One thread for each handle reads, from its first call on; gRPC has one that writes. All state changes under the client's lock.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from ..errors import QueueConnectionError
from ..waker import SLICE
from .failures import Failure, describe_stream_end, says_nothing, unexpected
from .probe import why_refused
from .remote import Endpoint, Remote
from .wire import METHOD, PROTOCOL_VERSION, load

_FIRST_BACKOFF, _LAST_BACKOFF = 0.025, 1.0


class Events(Protocol):
    """What the connection asks of whoever uses it."""

    def open_frame(self) -> Any: ...
    def on_opened(self, opened: Any) -> None: ...
    def on_frame(self, frame: Any) -> None: ...
    def on_down(self, failure: Failure, was_open: bool) -> None:
        """An attempt failed, or the stream broke where it `was_open`."""
        ...

    def collect(self) -> tuple[Any, bool, float | None]:
        """A frame of what is to be sent, or None; whether more is ready for another, and after how many seconds it may be."""
        ...

    def has_pending(self) -> bool:
        """Whether anything waits for the server."""
        ...

    def is_awaited(self) -> bool:
        """Whether that is worth to be waited for by who is leaving."""
        ...

    def wake_at(self) -> float | None:
        """When `on_time` is to be called though nothing happens."""
        ...

    def on_time(self) -> None: ...


class _Stream:
    def __init__(self) -> None:
        self.opened = False
        self.over = False
        self.call: Any = None
        #: To be sent before anything else.
        self.first: list[Any] = []
        #: What ended what is sent through it, other than gRPC.
        self.failed: Exception | None = None


class Connection:
    def __init__(self, remote: Remote, lock: threading.RLock, events: Events) -> None:  # type: ignore[valid-type, unused-ignore]
        self._grpc, self._messages = load()
        self._remote = remote
        self._events = events
        self._lock = lock
        self._changed = threading.Condition(lock)  # type: ignore[arg-type, unused-ignore]
        self._thread: threading.Thread | None = None
        #: That thread has. A join() that a signal interrupts takes it for ended in Python 3.11.
        self._ended = threading.Event()
        self._stream: _Stream | None = None
        #: Of the endpoint that is tried now, or serves.
        self._current = 0
        self._dirty = False
        #: When it leaves at the latest, and when it did.
        self._leave_by: float | None = None
        self._left_at: float | None = None
        #: Attempts in a row that brought no stream.
        self._refusals = 0
        #: Why there is no stream at present, as far as known.
        self.last_failure: Failure | None = None

    @property
    def where(self) -> str:
        return self._endpoint.where

    @property
    def _endpoint(self) -> Endpoint:
        return self._remote.endpoints[self._current]

    @property
    def is_open(self) -> bool:
        return self._stream is not None and self._stream.opened and not self._stream.over

    @property
    def is_deserted(self) -> bool:
        """Nobody listens, as far as is known."""
        return self._refusals >= len(self._remote.endpoints)

    def flush(self) -> None:
        """Something is to be sent: connects if need be. What comes while another frame is on its way travels in one."""
        self._dirty = True
        if self._thread is None and self._leave_by is None:
            self._thread = threading.Thread(target=self._run, name=f"sage-queue {self.where}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def send_first(self, frames: list[Any]) -> None:
        """What was sent through the stream before this one, and has to be sent again."""
        if self._stream is not None:
            self._stream.first.extend(frames)
        self.flush()

    def disconnect(self, error: QueueConnectionError) -> None:
        """Leaves a server that is going down. What is wanted is sought at the same address again."""
        stream = self._stream
        if stream is not None and self.is_open:
            self._drop(stream)
            self._down(Failure(error, False), False)

    def leave(self, within: float) -> None:
        """For good, once nobody has to be waited for, or after so many seconds: then it says good-bye if there is anybody to say it to."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + within
        self.look_again()

    def look_again(self) -> None:
        """Something that a thread of it waits for may have come."""
        self._changed.notify_all()

    def join(self, within: float) -> None:
        """Without the lock: until it has left and the server has let go, which may take so many seconds. A signal's handler may raise."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        while not self._ended.is_set():
            by = self._left_at or self._leave_by
            left = SLICE if by is None else by + within - time.monotonic()
            if left <= 0:
                break
            self._ended.wait(min(SLICE, left))
        with self._lock:  # type: ignore[attr-defined, unused-ignore]
            if self._stream is not None:
                self._drop(self._stream)

    # ── the thread ───────────────────────────────────────────────────────────

    @property
    def _leaving(self) -> bool:
        """There is no way back."""
        if self._left_at is None and self._leave_by is not None:
            now = time.monotonic()
            if now >= self._leave_by or not self._events.is_awaited():
                self._left_at = now
        return self._left_at is not None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._serve()
                self._ended.set()
            except Exception as error:  # else everybody would wait for a thread that is no more
                with self._lock:  # type: ignore[attr-defined, unused-ignore]
                    if self._stream is not None:
                        self._drop(self._stream)
                    self._down(unexpected(self.where, error), False)

    def _serve(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            with self._lock:  # type: ignore[attr-defined, unused-ignore]
                while not self._leaving and not self._events.has_pending():
                    self._sleep(None)
                if self._leaving:
                    return
                stream = self._stream = _Stream()
            was_open = self._attempt(stream)
            with self._lock:  # type: ignore[attr-defined, unused-ignore]
                if was_open:
                    backoff = _FIRST_BACKOFF
                # Full jitter, so that clients of a restarted server do not come back in step.
                end = time.monotonic() + backoff * (0.5 + random.random() / 2)
                backoff = min(backoff * 2, _LAST_BACKOFF)
                while not self._leaving and self._events.has_pending() and time.monotonic() < end:
                    self._sleep(end)

    def _sleep(self, end: float | None) -> None:
        alarm = self._events.wake_at()
        self._wait_until(end, alarm)
        if alarm is not None and time.monotonic() >= alarm:
            self._events.on_time()

    def _wait_until(self, *ends: float | None) -> bool:
        """Whether something changed before the first of them."""
        known = [end for end in (*ends, self._leave_by) if end is not None]
        return self._changed.wait(max(0.0, min(known) - time.monotonic()) if known else None)

    def _attempt(self, stream: _Stream) -> bool:
        """One stream from its begin to its end. Whether it carried anything: that it opened is no progress."""
        endpoint = self._endpoint
        options = self._options(endpoint)
        credentials = self._remote.credentials
        grpc, messages = self._grpc, self._messages
        if credentials is None:
            channel = grpc.insecure_channel(endpoint.target, options)
        else:
            channel = grpc.secure_channel(endpoint.target, credentials, options)
        carried = False
        ended: Any = None
        try:
            token = self._remote.token
            method = channel.stream_stream(
                METHOD,
                request_serializer=messages.ClientFrame.SerializeToString,
                response_deserializer=messages.ServerFrame.FromString,
            )
            metadata = [] if token is None else [("authorization", f"Bearer {token}")]
            stream.call = method(self._guarded_frames(stream), metadata=metadata)
            for frame in stream.call:
                with self._lock:  # type: ignore[attr-defined, unused-ignore]
                    if stream is not self._stream:
                        break
                    carried = carried or stream.opened
                    self._receive(stream, frame)
        except Exception as error:  # gRPC's, or one of this package
            ended = error
        finally:
            ended = stream.failed or ended
            why = None if stream.over or stream.opened or not says_nothing(ended, grpc) else why_refused(endpoint, self._remote.tls)
            with self._lock:  # type: ignore[attr-defined, unused-ignore]
                self._stream_ended(stream, ended, why)
            channel.close()
        return carried

    def _options(self, endpoint: Endpoint) -> list[tuple[str, int]]:
        return [
            ("grpc.enable_http_proxy", 0 if endpoint.is_local else 1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.use_local_subchannel_pool", 1),
        ]

    def _guarded_frames(self, stream: _Stream) -> Iterator[Any]:
        try:
            yield from self._frames(stream)
        except Exception as error:  # the stream would only say that there was one
            stream.failed = error
            raise

    def _frames(self, stream: _Stream) -> Iterator[Any]:
        """In gRPC's thread: what is to be sent, whenever there is something."""
        with self._lock:  # type: ignore[attr-defined, unused-ignore]
            frame = self._messages.ClientFrame(open=self._events.open_frame())
        yield frame
        again: float | None = None
        while True:
            with self._lock:  # type: ignore[attr-defined, unused-ignore]
                end = None if again is None else time.monotonic() + again
                while not stream.over and not self._leaving and not (stream.opened and self._dirty):
                    if not self._wait_until(end) and stream.opened:
                        break
                if stream.over:
                    return
                if stream.first:
                    frame = stream.first.pop(0)
                elif self._leaving:
                    frame = self._messages.ClientFrame(close=True) if stream.opened else None
                else:
                    frame, self._dirty, again = self._events.collect()
                leaving = self._leaving and not stream.first and (frame is None or frame.close)
            if frame is not None:
                yield frame
            if leaving:
                if not stream.opened and stream.call is not None:
                    stream.call.cancel()
                return

    def _receive(self, stream: _Stream, frame: Any) -> None:
        if stream.opened:
            self._events.on_frame(frame)
            return
        version = frame.opened.protocol_version if frame.HasField("opened") else None
        if version != PROTOCOL_VERSION:
            found = "a frame that is not `opened`" if version is None else f"version {version}"
            error = QueueConnectionError(
                f"the server at {self.where} answered with {found} of the protocol; this client speaks version "
                f"{PROTOCOL_VERSION}. Use matching releases of sage-queue"
            )
            self._drop(stream)
            self._down(Failure(error, True), False)
            return
        stream.opened = True
        self.last_failure = None
        self._refusals = 0
        self._events.on_opened(frame.opened)
        self.flush()

    def _stream_ended(self, stream: _Stream, ended: Any, why: str | None) -> None:
        if stream is not self._stream:
            return
        was_open = stream.opened
        failure = describe_stream_end(
            self.where, self._remote.queue_id, ended, self._grpc, was_open or self._remote.credentials is not None, why
        )
        self._drop(stream)
        if not was_open:  # one that does not serve gives way to the next
            self._current = (self._current + 1) % len(self._remote.endpoints)
            self._refusals += 1
        if not self._leaving:
            self._down(failure, was_open)

    def _drop(self, stream: _Stream) -> None:
        stream.over = True
        self._stream = None
        if stream.call is not None:
            stream.call.cancel()
        self._changed.notify_all()

    def _down(self, failure: Failure, was_open: bool) -> None:
        self.last_failure = failure
        self._events.on_down(failure, was_open)
