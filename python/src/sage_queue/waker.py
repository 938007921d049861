"""Whoever waits for another thread to do its work: a thread, or a task of an event loop, behind one face."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


#: The longest that a thread sleeps at a time. A signal may be taken by another thread, gRPC's for one, which does not wake the main
#: thread, where its handler has to run.
SLICE = 0.1


class ThreadWaker:
    """Wakes a thread, also for a look around: who wakes looks whether its call is done. A signal's handler may raise in `wait`."""

    loop = None

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        self._event.set()

    def wait(self, seconds: float | None) -> None:
        """At most a slice."""
        self._event.wait(SLICE if seconds is None else min(SLICE, seconds))
        self._event.clear()


class LoopWaker:
    """The same for a task of the running loop. `lost` is called where that was closed."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._woken = False
        self._future: asyncio.Future[None] | None = None
        self._lost = lost

    def wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            self._lost()

    def _ring(self) -> None:
        self._woken = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        if not self._woken:
            self._future = self.loop.create_future()
            timer = None if seconds is None else self.loop.call_later(seconds, self._ring)
            try:
                await self._future
            finally:
                self._future = None
                if timer is not None:
                    timer.cancel()
        self._woken = False


Waker = ThreadWaker | LoopWaker
