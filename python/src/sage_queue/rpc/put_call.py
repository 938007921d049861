"""One put under way: its items, how far they have come, and how it ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ..errors import QueueConnectionError
from ..memory_store import SILENT
from ..waker import Waker
from .pending import PendingCall
from .wire import Encoded


class Line(Protocol):
    """What a put asks of all puts of its handle (puts.py)."""

    def add(self, call: PutCall) -> None: ...
    def expire(self, call: PutCall) -> None: ...
    def cancel(self, call: PutCall) -> None: ...
    def finish(self, call: PutCall) -> None: ...


class PutCall(PendingCall):
    def __init__(
        self, puts: Line, items: Sequence[Encoded], timeout: float | None, waker: Waker | None, *, group: int
    ) -> None:
        super().__init__(timeout, waker)
        self._puts = puts
        self.unsent = deque(items)
        #: More items will come: what is put later comes after them, unless their source is silent.
        self.reads = False
        self.thread = threading.get_ident()
        self._since = time.monotonic()
        self.group = group
        #: Items of which the server said that they are in.
        self.applied = 0
        self.refused = 0
        self.chunks = 0
        #: A server had some of it and is gone without an answer: what the next one says of it is not all.
        self.elsewhere = False
        self.failing: BaseException | None = None

    def start(self) -> None:
        self._puts.add(self)

    def fail_with(self, error: BaseException) -> None:
        """Nothing more of it is sent; the first reason counts."""
        if self.failing is None:
            self.failing = error
            self.refused += len(self.unsent)
            self.unsent.clear()
            if self.reads and self.waker is not None:
                self.waker.wake()

    @property
    def complete(self) -> bool:
        """Nothing more can be learned of it."""
        return self.chunks == 0 and not self.unsent and not (self.reads and self.failing is None)

    def is_passed_by(self, other: PutCall) -> bool:
        """By what its own source puts, and by everybody once that is silent."""
        return self.reads and not self.unsent and (other.thread == self.thread or self.silent_in == 0)

    @property
    def silent_in(self) -> float:
        """How many seconds its source may take before it holds nobody up."""
        return max(0.0, self._since + SILENT - time.monotonic())

    def begin_reading(self) -> None:
        self._since = time.monotonic()

    @property
    def drained(self) -> bool:
        """It wants more items, or no more at all."""
        return self.done or self.failing is not None or not self.unsent

    def wake(self) -> None:
        if self.waker is not None:
            self.waker.wake()

    def expire(self) -> None:
        self._puts.expire(self)

    def abort(self) -> None:
        if not self.done:
            self._puts.cancel(self)
            self.fail_with(QueueConnectionError("put: given up"))
            self._puts.finish(self)
