"""asyncio on the queues in shared memory, without a thread and without polling: one doorbell for each loop, watched by add_reader."""

from __future__ import annotations

import asyncio
import os
import struct
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from . import _native
from .errors import QueueEmptyError, QueueFullError

GETTERS, PUTTERS, JOINERS = 0, 1, 2
_TRY, _SLEEP, _DONE = 0, 1, 2

#: As often does a loop look by itself where nobody watches the queue's other processes.
_POLL = 0.01
#: No pipe holds less: what comes in pieces as long may stand for tags that were lost.
_LEAST_PIPE = 4096

Audience = tuple[int, int]


class LoopBell:
    """What other processes ring this loop by; each wait list has a tag of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, audience: Audience) -> None:
        self._loop = weakref.ref(loop)  # the loop has the bell, by its reader
        self.bell = _native.Bell(*audience)
        # A queue that nobody can reach takes its lists with it.
        self._lists: weakref.WeakValueDictionary[int, WaitList] = weakref.WeakValueDictionary()
        self._next_tag = 1
        self._rest = b""
        loop.add_reader(self.bell.fileno(), self._ring)

    def add(self, waiting: WaitList) -> int:
        tag = self._next_tag
        self._next_tag += 1
        self._lists[tag] = waiting
        return tag

    def remove(self, tag: int) -> bool:
        """Whether nobody listens any more; then the bell is taken down."""
        self._lists.pop(tag, None)
        loop = self._loop()
        if self._lists:
            return False
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self.bell.fileno())
        self.bell.close()
        return True

    def _ring(self) -> None:
        try:
            data = os.read(self.bell.fileno(), 65536)
        except BlockingIOError:
            return
        if len(data) >= _LEAST_PIPE:
            return self.ring_all()
        data = self._rest + data
        whole = len(data) & ~3
        self._rest = data[whole:]
        for tag in dict.fromkeys(struct.unpack(f"={whole // 4}I", data[:whole])):
            waiting = self._lists.get(tag)
            if waiting is not None:
                waiting.rung()

    def ring_all(self) -> None:
        for waiting in list(self._lists.values()):
            waiting.rung()

    def ring_soon(self) -> None:
        """From any thread."""
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.ring_all)


_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Audience, LoopBell]] = weakref.WeakKeyDictionary()


def _bell_for(loop: asyncio.AbstractEventLoop, audience: Audience) -> LoopBell:
    of_loop = _bells.setdefault(loop, {})
    bell = of_loop.get(audience)
    if bell is None:
        bell = of_loop[audience] = LoopBell(loop, audience)
    return bell


def _after_fork_in_parent() -> None:
    # The watcher was ended for the fork, and comes back with the next wait: whoever waits in a loop begins anew.
    for of_loop in list(_bells.values()):
        for bell in of_loop.values():
            bell.ring_soon()


os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_bells.clear)


#: What a call gets whose task is to try by itself.
_TURN: Any = object()


class _Call:
    __slots__ = ("future", "attempt", "by_task", "ended")

    def __init__(self, future: asyncio.Future[Any], attempt: Callable[[], Any], by_task: bool) -> None:
        self.future = future
        self.attempt = attempt
        #: Nobody but its task tries, when that goes on: it may be cancelled until then.
        self.by_task = by_task
        self.ended: Exception | None = None

    def fail(self, error: Exception) -> None:
        self.ended = error
        if not self.future.done():
            self.future.set_exception(error)


class WaitList:
    """The calls of one loop that wait on one side of one handle, served in order."""

    def __init__(self, handle: _native.Handle, loop: asyncio.AbstractEventLoop, side: int, audience: Audience) -> None:
        self._handle = handle
        self._loop = weakref.ref(loop)
        self._side = side
        self._audience = audience
        self._pending: deque[_Call] = deque()
        #: The first of them, while it is its turn to try by itself.
        self._trying: _Call | None = None
        #: Somebody rang meanwhile.
        self._rung = False
        #: From the first call on that waits: what is there is had where there is no descriptor for one.
        self._bell: LoopBell | None = None
        self._tag = 0
        self._waiter: _native.Waiter | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._driving = False

    @property
    def is_taken(self) -> bool:
        """Whether one more call has to stand behind others."""
        return bool(self._pending)

    async def wait(
        self,
        attempt: Callable[[], Any],
        timeout: float | None,
        late: Callable[[], Exception],
        undo: Callable[[Any], None] | None,
    ) -> Any:
        """What `attempt` brings, which raises QueueEmptyError or QueueFullError until it does. `undo` gets what came too late; None: nothing
        can be undone, and only the task itself tries."""
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future(), attempt, undo is None)
        self._pending.append(call)
        timer = None if timeout is None else loop.call_later(timeout, lambda: call.fail(late()))
        try:
            if self._waiter is None:
                self._begin(loop)
            while (found := await call.future) is _TURN:
                call.future = loop.create_future()
                try:
                    return attempt()
                except (QueueEmptyError, QueueFullError):
                    if call.ended is not None:
                        raise call.ended from None
                    self._tried(_SLEEP)
            return found
        except asyncio.CancelledError:
            future = call.future
            if undo is not None and future.done() and not future.cancelled() and future.exception() is None:
                undo(future.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._leave(call)

    def _leave(self, call: _Call) -> None:
        try:
            self._pending.remove(call)
        except ValueError:
            return  # it was served
        if self._trying is call:
            self._tried(None)  # the next one may
        elif not self._pending:
            self._end()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            if self._bell is None:
                self._bell = _bell_for(loop, self._audience)
                self._tag = self._bell.add(self)
            self._waiter = _native.Waiter(self._handle, self._side, self._bell.bell, self._tag)
            self._drive(_TRY)
        except Exception as error:
            self.fail(error)

    def _tried(self, step: int | None) -> None:
        self._trying = None
        rung, self._rung = self._rung, False
        try:
            self._drive(_TRY if rung else step)
        except Exception as error:
            self.fail(error)

    def rung(self) -> None:
        if self._trying is not None:
            self._rung = True
            return
        if self._waiter is None or self._driving:
            return
        try:
            self._drive(_TRY)
        except Exception as error:
            self.fail(error)

    def _drive(self, step: int | None) -> None:
        """None: those who wait are served first."""
        self._stop_polling()
        self._driving = True
        try:
            while self._waiter is not None:
                if step is None:
                    step = self._serve()
                    if step is None:
                        return
                step, polls = self._waiter.next(step)
                if step == _TRY:
                    step = None
                    continue
                if step == _DONE:
                    self._end()
                elif polls:
                    loop = self._loop()
                    assert loop is not None
                    self._poll = loop.call_later(_POLL, self.rung)
                return
        finally:
            self._driving = False

    def _serve(self) -> int | None:
        """_DONE: nobody waits any more. None: the task of the first one tries."""
        pending = self._pending
        while pending:
            call = pending[0]
            if not call.future.done():
                if call.by_task:
                    self._trying = call
                    call.future.set_result(_TURN)
                    return None
                try:
                    outcome = call.attempt()
                except (QueueEmptyError, QueueFullError):
                    return _SLEEP
                except Exception as error:
                    call.fail(error)
                else:
                    call.future.set_result(outcome)
            pending.popleft()
        return _DONE

    def fail(self, error: Exception) -> None:
        self._end()
        self._trying = None
        while self._pending:
            self._pending.popleft().fail(error)

    def _stop_polling(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None

    def _end(self) -> None:
        self._stop_polling()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.end()

    def detach(self, error: Exception) -> None:
        """The handle was closed, by any thread."""
        loop = self._loop()
        if loop is not None and loop.is_running() and asyncio._get_running_loop() is not loop:
            loop.call_soon_threadsafe(self._detach, error)
        else:
            self._detach(error)

    def _detach(self, error: Exception) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            self._end()
        else:
            self.fail(error)
        if self._bell is not None and self._bell.remove(self._tag) and loop is not None:
            _bells.get(loop, {}).pop(self._audience, None)
