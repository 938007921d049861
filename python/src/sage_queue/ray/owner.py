"""One handle's link to a queue actor of ours: the owner's id, what it holds on lease, and how that is settled."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import QueueConnectionError, QueueShutDownError
from .cluster import ANSWER_WITHIN, MAKING_WITHIN, Ask, Steps, submit

#: How soon what was settled is told, where no other call takes it along.
_SETTLE_AFTER = 0.005
_MAX_STALE = 3
_ACKS, _RELEASES, _UNSEEN = range(3)
#: Leases by how they end.
Settlement = tuple[list[int], list[int], list[int]]


def _nothing() -> None:
    pass


class Owner:
    """Its leases come again when it has been silent for `lease_seconds`; so a thread speaks for it while it holds some."""

    def __init__(self, actor: Any, lease_seconds: float) -> None:
        self.actor = actor
        self.maxsize = 0
        #: How many of this owner's numbered items the queue had applied when they last met.
        self.applied = 0
        self._id = uuid.uuid4().hex
        self._epoch = 0
        self._lease_seconds = lease_seconds
        self._lock = threading.Lock()
        self._calls = itertools.count(1)
        #: On lease, or settled and not told.
        self._held: set[int] = set()
        self._settlement: Settlement = ([], [], [])
        #: Those that were sent and may not have come. Calls run in any order: each takes all of these along, so that what it says or
        #: finds is true after them, until one that had it is answered. Settling twice does nothing.
        self._sent: list[Settlement] = []
        self._generation: int | None = None
        self._incarnation: str | None = None
        self._speaker: threading.Thread | None = None
        self._speak = threading.Event()
        self._left = False

    def hello(self) -> Steps[None]:
        """Introduces this owner, and says what it holds: all else it had comes again at once."""
        with self._lock:
            self._epoch += 1
            arguments = (self._id, self._epoch, list(self._held), float(self._lease_seconds))
        future = submit(self.actor, "sage_hello", *arguments)
        greeting = yield Ask(future, MAKING_WITHIN, _nothing)
        self.maxsize, self.applied = greeting["maxsize"], greeting["applied"]
        if self._generation not in (None, greeting["generation"]):
            raise QueueShutDownError("The queue was shut down and drained, and another one was started under its name.")
        if self._incarnation not in (None, greeting["incarnation"]):
            raise QueueConnectionError("The actor that this handle knew is dead, and another one runs under its name.")
        self._generation, self._incarnation = greeting["generation"], greeting["incarnation"]

    def call(self, method: str, *arguments: Any, wait: float = 0.0, abandoned: Any = None) -> Steps[Any]:
        """[status, rest] of `method`, with what is to be settled on the way. `abandoned` gets an answer that nobody waits for."""
        for _ in range(_MAX_STALE):
            number = next(self._calls)
            settlements, epoch = self._send_settlements()
            request = [self._id, epoch, _merged(settlements), *_numbered(arguments, number)]
            future = submit(self.actor, method, request)
            abandon = self._abandoning(future, epoch, number if wait > 0 else None, abandoned)
            answer = yield Ask(future, wait + ANSWER_WITHIN, abandon)
            if not isinstance(answer, (list, tuple)) or answer[0] != "stale":
                self._told(settlements)
                return answer
            if epoch == self._epoch:
                yield from self.hello()
        raise QueueConnectionError("The queue forgot this handle again and again. Resolve the descriptor anew.")

    def _abandoning(self, future: Any, epoch: int, waits: int | None, abandoned: Any) -> Callable[[], None]:
        """Wakes the call, which then answers with what it has."""

        def abandon() -> None:
            if waits is not None:
                submit(self.actor, "sage_cancel", self._id, epoch, waits)
            if abandoned is not None:
                future.add_done_callback(lambda done: None if done.exception() else abandoned(done.result()))

        return abandon

    # ── what it holds ────────────────────────────────────────────────────────

    def hold(self, leases: list[int]) -> None:
        with self._lock:
            self._held.update(leases)
            if self._speaker is None:
                self._speaker = threading.Thread(target=self._speak_up, name="sage-queue on Ray", daemon=True)
                self._speaker.start()

    def settle(self, leases: list[int], how: int) -> None:
        with self._lock:
            self._settlement[how].extend(lease for lease in leases if lease in self._held)
        self._speak.set()

    def acknowledge(self, leases: list[int]) -> None:
        self.settle(leases, _ACKS)

    def release(self, leases: list[int]) -> None:
        self.settle(leases, _RELEASES)

    def give_back_unseen(self, answer: Any) -> None:
        """What came for a get that had left: it was no delivery."""
        if answer[0] == "ok" and answer[1]:
            leases = [lease for lease, _, _ in answer[1]]
            self.hold(leases)
            self.settle(leases, _UNSEEN)

    def _send_settlements(self) -> tuple[list[Settlement], int]:
        """With the one that has gathered since the last call."""
        with self._lock:
            if any(self._settlement):
                self._sent.append(self._settlement)
                self._settlement = ([], [], [])
            return list(self._sent), self._epoch

    def _told(self, settlements: list[Settlement]) -> None:
        with self._lock:
            self._sent = [one for one in self._sent if not any(one is told for told in settlements)]
            for leases in itertools.chain.from_iterable(settlements):
                self._held.difference_update(leases)

    def state(self) -> Steps[dict[str, Any]]:
        """Once it is known, so is everything that was settled before."""
        return (yield from self.call("sage_state"))  # type: ignore[no-any-return]

    def _speak_up(self) -> None:
        from .cluster import run

        while not self._left:
            self._speak.wait(self._lease_seconds / 3)
            self._speak.clear()
            if self._left:
                return
            time.sleep(_SETTLE_AFTER)  # others may be about to take it along
            with self._lock:
                silent = not self._held
            if not silent:
                try:
                    run(self.state())
                except Exception:  # told again the next time
                    self._speak.wait(self._lease_seconds / 3)

    def leave(self) -> None:
        """What it holds goes back."""
        self._left = True
        self._speak.set()
        settlements, epoch = self._send_settlements()
        try:
            submit(self.actor, "sage_bye", [self._id, epoch, _merged(settlements)]).result(ANSWER_WITHIN)
        except (Exception, concurrent.futures.CancelledError):  # its leases then run out
            return


NUMBER = object()


def _numbered(arguments: tuple[Any, ...], number: int) -> list[Any]:
    return [number if one is NUMBER else one for one in arguments]


def _merged(settlements: list[Settlement]) -> Settlement:
    acks, releases, unseen = ([lease for one in settlements for lease in one[how]] for how in range(3))
    return acks, releases, unseen
