"""The queue in memory behind `local`: first in, first out, bounded, with leases, and waiting calls served in order.

Two invariants hold whenever the lock is free: nobody waits to get while an item lies ready, and nobody waits to put while there is
room, but for those who stand behind a call that holds its place. One loop serves all lines until nobody can be served; it is not
re-entered, so that no step of it sees another one half done.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from .errors import QueueClosedError, QueueShutDownError
from .waker import ThreadWaker, Waker

#: What an attempt gives that has to wait.
PENDING: Any = object()

#: A source of put_many that is silent for so many seconds holds nobody up any more.
SILENT = 0.01


class Entry:
    """An item, its place in the order of puts, how often it was delivered, and the handle that had it last."""

    __slots__ = ("item", "sequence", "deliveries", "holder")

    def __init__(self, item: Any, sequence: int) -> None:
        self.item = item
        self.sequence = sequence
        self.deliveries = 0
        self.holder: object = None


class Call:
    """A call that waits in a line. Whoever changes the queue tries on its behalf, under the lock."""

    __slots__ = ("owner", "attempt", "waker", "done", "outcome", "error", "since")

    def __init__(self, owner: object, attempt: Callable[[], Any], waker: Waker) -> None:
        self.owner = owner
        self.attempt = attempt
        self.waker = waker
        self.done = False
        self.outcome: Any = PENDING
        self.error: Exception | None = None
        #: When it began to do what those behind it wait for, and nobody can do on its behalf.
        self.since: float | None = None

    def settle(self) -> bool:
        """Whether it is done."""
        try:
            outcome = self.attempt()
        except Exception as error:
            self.fail(error)
            return True
        if outcome is PENDING:
            return False
        self.outcome = outcome
        self.done = True
        self.waker.wake()
        return True

    def fail(self, error: Exception) -> None:
        self.error = error
        self.done = True
        self.waker.wake()

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.outcome

    @property
    def may_be_passed(self) -> bool:
        return self.since is not None and time.monotonic() - self.since >= SILENT


class TaskCall(Call):
    """Of a task, which may be cancelled until it goes on. A put cannot be undone: with `by_task` it is woken once there is room, and tries when
    it goes on. Its place is kept meanwhile, though not for longer than that of a silent source."""

    __slots__ = ("runs", "by_task", "_store")

    def __init__(self, owner: object, attempt: Callable[[], Any], waker: Waker, store: MemoryStore, *, by_task: bool) -> None:
        super().__init__(owner, attempt, waker)
        #: Its task does, and is not cancelled before it sleeps again.
        self.runs = True
        self.by_task = by_task
        self._store = store

    def settle(self) -> bool:
        if self.runs or not self.by_task:
            self.since = None
            return super().settle()
        if self.since is None and not self._store.full():
            self._store.hold_up(self)
            self.waker.wake()
        return False

    def sleeps(self) -> bool:
        """Whether its task does from here on. Without the lock."""
        with self._store.lock:
            self.runs = self.done
        return not self.done


class PutManyCall(Call):
    """Holds one place for all its items. They come in pieces, which the caller's thread reads from their source without the lock."""

    __slots__ = ("items", "accepted", "_put", "_reader")

    def __init__(self, owner: object, put: Callable[[Any], bool], waker: ThreadWaker) -> None:
        super().__init__(owner, self._go_on, waker)
        self.items: deque[Any] = deque()
        self.accepted = 0
        self._put = put
        self._reader = threading.get_ident()

    @property
    def drained(self) -> bool:
        """It failed, or wants the next piece."""
        return self.done or not self.items

    def feed(self, items: list[Any]) -> None:
        self.since = None
        self.items.extend(items)

    def _go_on(self) -> Any:
        if not self.items:
            return PENDING
        while self.items:
            if not self._put(self.items[0]):
                return PENDING
            self.items.popleft()
            self.accepted += 1
        self.waker.wake()
        return PENDING

    @property
    def may_be_passed(self) -> bool:
        """By its own source, which may use the queue, and by everybody once that is silent."""
        return super().may_be_passed or (self.since is not None and threading.get_ident() == self._reader)


class MemoryStore:
    """What all handles of an id share. Everything is called with `lock` held."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.lock = threading.RLock()
        self.fresh: deque[Entry] = deque()
        #: Those that came back, in the order of their puts; they go before anything fresh.
        self.requeued: deque[Entry] = deque()
        #: On lease: an entry begins and ends to be among them in one step, between whose halves no signal's handler comes.
        self.leases: set[Entry] = set()
        self.shut = False
        self.dropped = False
        self.put_total = 0
        self._discarded = 0
        self.redelivered = 0
        self.getters: deque[Call] = deque()
        self.putters: deque[Call] = deque()
        self.joiners: deque[Call] = deque()
        self.handles = 0
        self.expected = 0
        self.producers_come = 0
        self.producers_open = 0
        self._sequence = 0
        self._serving = False
        self._changed = False

    def after_fork_in_child(self) -> None:
        """What the child has are copies, with locks that nobody may be there to release."""
        self.lock = threading.RLock()
        self._serving = False
        for line in (self.getters, self.putters, self.joiners):
            line.clear()

    @property
    def size(self) -> int:
        return len(self.fresh) + len(self.requeued)

    @property
    def leased(self) -> int:
        return len(self.leases)

    @property
    def get_total(self) -> int:
        return self.put_total - self._discarded - self.size - self.leased

    @property
    def idle(self) -> bool:
        return self.size == 0 and self.leased == 0

    def full(self) -> bool:
        return 0 < self.maxsize <= self.size + self.leased

    def try_put(self, item: Any) -> bool:
        """Whether it went in. @raise QueueShutDownError"""
        if self.shut:
            raise QueueShutDownError("The queue was shut down and takes no more items.")
        if self.full():
            return False
        self.fresh.append(Entry(item, self._sequence))
        self._sequence += 1
        self.put_total += 1
        self._changed = True
        return True

    def try_lease(self, entries: list[Entry], holder: object) -> bool:
        """Whether there was an item, which is now the last of `entries`, on lease until `finish` or `requeue`. Whatever a signal's handler
        raises meanwhile, undo() of `entries` is right then. @raise QueueShutDownError when none will come"""
        if self.size == 0:
            if self.dropped or (self.shut and self.leased == 0):
                raise QueueShutDownError("The queue was shut down and nothing is left in it.")
            return False
        line = self.requeued or self.fresh
        entry = line[0]
        entry.holder = holder
        entries.append(entry)
        self.leases.add(entry)
        entry.deliveries += 1
        del line[0]
        return True

    def finish(self, entries: list[Entry]) -> None:
        self.leases.difference_update(entries)
        self._changed = True

    def undo(self, entries: list[Entry], holder: object) -> None:
        """What a call took that brought nothing goes back as if it had not been leased, even what it had finished."""
        for entry in reversed(entries):
            if entry.holder is holder:
                self.requeue(entry, seen=False)
        entries.clear()

    def requeue(self, entry: Entry, *, seen: bool) -> None:
        """It comes again, ahead of every item not yet taken; as if it had not been leased, unless somebody has `seen` it. In the line it is in one
        step, before it ends to be on lease: what a signal's handler raises meanwhile loses nothing, and it may be called again."""
        self._changed = True
        if self.dropped:
            self._discarded += 1
        else:
            line = self.requeued
            is_last = bool(line) and line[-1].sequence < entry.sequence
            # Nearly always 0: what goes back together goes last first.
            at = len(line) if is_last else sum(1 for _ in takewhile(lambda other: other.sequence < entry.sequence, line))
            # Its lease had only begun, or has nearly ended.
            is_there = (self.fresh and self.fresh[0] is entry) or (at < len(line) and line[at] is entry)
            if not is_there:
                if seen:
                    self.redelivered += 1
                else:
                    entry.deliveries -= 1
                line.insert(at, entry)
        entry.holder = None
        self.leases.discard(entry)

    def serve(self) -> None:
        """After each change: whoever can go on does, in order."""
        self._changed = True
        if self._serving:
            return
        self._serving = True
        try:
            while self._changed:
                self._changed = False
                self._serve_line(self.getters)
                self._serve_line(self.putters)
        finally:
            self._serving = False
        for call in list(self.joiners):
            if call.settle():
                self.joiners.remove(call)

    @staticmethod
    def _serve_line(line: deque[Call]) -> None:
        index = 0
        while index < len(line):
            call = line[index]
            if call.settle():
                line.remove(call)
            elif call.may_be_passed:
                index += 1
            else:
                return

    def hold_up(self, call: Call) -> None:
        """Those behind it look again by themselves, since a source that is silent too long, or a loop that is busy, tells nobody."""
        call.since = time.monotonic()
        for other in list(self.putters):
            if other is not call and (other.waker.loop is None or other.waker.loop is not call.waker.loop):
                other.waker.wake()

    def look_again(self, line: deque[Call]) -> float | None:
        """After how many seconds whoever waits in the line has to."""
        return SILENT if any(call.since is not None for call in line) else None

    def give_up(self, owner: object) -> None:
        """The calls of a handle that was closed."""
        for line in (self.getters, self.putters, self.joiners):
            for call in [call for call in line if call.owner is owner]:
                line.remove(call)
                call.fail(QueueClosedError(CLOSED))

    def shutdown(self, immediate: bool) -> None:
        self.shut = True
        if immediate:
            self.dropped = True
            self._discarded += self.size
            self.fresh.clear()
            self.requeued.clear()
        putters, self.putters = self.putters, deque()
        for call in putters:
            call.fail(QueueShutDownError("The queue was shut down and takes no more items."))
        self.serve()

    def end_with_last_producer(self) -> None:
        if 0 < self.expected <= self.producers_come and self.producers_open == 0:
            self.shutdown(False)


CLOSED = "This handle on the queue was closed. Resolve the descriptor again for a new one."
