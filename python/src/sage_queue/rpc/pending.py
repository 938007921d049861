"""What puts, gets and questions share: how long a call may wait, and who is told of its end."""

from __future__ import annotations

import math
import time
from typing import Any

from ..errors import QueueConnectionError
from ..waker import Waker
from .failures import Failure
from .wire import LONGEST_MS

#: How long an answer may be late before the connection is blamed.
GRACE = 0.25
#: How long a call that does not wait for the queue waits for the server.
ANSWER_WITHIN = 3.0


class PendingCall:
    """Ends once, under the client's lock, with an outcome or an error. Whoever waits for it sleeps until `limit`, and then lets it expire."""

    def __init__(self, timeout: float | None, waker: Waker | None) -> None:
        #: Seconds; 0: it does not wait for the queue. None: for ever.
        self.timeout = timeout
        self.waker = waker
        self._started = time.monotonic()
        self.limit: float | None = None
        #: It waits for an answer, or for its turn, and for the queue no longer.
        self.late = False
        self.done = False
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.arm(late=False)

    @property
    def immediate(self) -> bool:
        return self.timeout == 0

    def elapsed(self) -> float:
        return time.monotonic() - self._started

    def elapsed_ms(self) -> int:
        return round(self.elapsed() * 1000)

    def remaining_ms(self) -> int | None:
        """For the wire: None is for ever."""
        if self.timeout is None:
            return None
        return min(LONGEST_MS, math.ceil(max(0.0, self.timeout - self.elapsed()) * 1000))

    def arm(self, late: bool) -> None:
        """The call expires when its wait is over; with `late`, once an answer should long have come, also to what was sent only after that."""
        if self.timeout is None:
            return
        self.late = late
        allowed = max(self.timeout, self.elapsed()) + GRACE if late else self.timeout
        self.limit = self._started + (ANSWER_WITHIN if self.timeout == 0 else allowed)

    def expire_in(self, seconds: float) -> None:
        self.limit = time.monotonic() + seconds
        if self.waker is not None:
            self.waker.wake()

    def extend(self, failure: Failure | None) -> bool:
        """The wait is over, there is no stream, and nothing has failed so far: the first attempt to connect is still under way. A short wait
        gets a moment longer, so that it ends with what the queue says. Whether it did."""
        if failure is not None or self.timeout is None or self.immediate or self.elapsed() >= self.timeout + GRACE:
            return False
        self.arm(late=True)
        return True

    def end(self, outcome: Any = None, error: BaseException | None = None) -> None:
        if self.done:
            return
        self.done = True
        self.outcome, self.error = outcome, error
        if self.waker is not None:
            self.waker.wake()

    def start(self) -> None:
        """It takes its place among the others. What makes it has no effect yet, so that a signal's handler may raise in between."""

    def expire(self) -> None:
        """Its limit has come: it ends, or has another limit afterwards."""
        raise NotImplementedError

    def abort(self) -> None:
        """Nobody waits for it any more, whether it is done or not."""
        raise NotImplementedError


def unreachable(what: str, where: str, call: PendingCall, failure: Failure | None) -> QueueConnectionError:
    """The error of a call whose time ran out while there was no stream."""
    reason = "no answer so far" if failure is None else str(failure.error)
    return QueueConnectionError(f"{what} waited {call.elapsed_ms()} ms for the connection to {where}: {reason}")
