"""One handle's link to a queue actor of ours: the owner's id, what it holds on lease, and how that is settled."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from ..errors import QueueClosedError, QueueConnectionError, QueueShutDownError
from ..memory_store import CLOSED
from .cluster import ANSWER_WITHIN, MAKING_WITHIN, Ask, Steps, run, submit

#: How soon what was settled is told, where no other call takes it along.
_SETTLE_AFTER = 0.005
_MAX_STALE = 3
_ACKS, _RELEASES, _UNSEEN = range(3)
#: Leases by how they end.
Settlement = tuple[list[int], list[int], list[int]]


#: What they answer is good for nothing once their epoch is over; what others answer stays true.
_OF_THEIR_EPOCH = ("sage_take", "sage_state", "sage_bye")


def _nothing() -> None:
    pass


class _Greeting:
    """How an owner introduces itself, and the epoch that begins so."""

    def __init__(self, epoch: int, held: list[int]) -> None:
        self.epoch = epoch
        self.held = held
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        #: The actor has answered, and it is the one that this owner knew.
        self.is_known = False


class Owner:
    """Its leases come again when it has been silent for `lease_seconds`; so a thread speaks for it while it holds some."""

    def __init__(self, actor: Any, lease_seconds: float) -> None:
        self.actor = actor
        self.maxsize = 0
        #: How many of this owner's numbered items the queue had applied when they last met.
        self.applied = 0
        self._id = uuid.uuid4().hex
        #: Of the last greeting, answered or not.
        self._epoch = 0
        self._greeting: _Greeting | None = None
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

    def ready(self) -> Steps[int]:
        """Introduces this owner where nothing says that it is known, and tells what it holds: all else it had comes again at once. The
        epoch that began so. It ends as soon as the next one is asked for: a take of it that is answered after that has been given back."""
        begins = False
        with self._lock:
            greeting = self._greeting
            if greeting is None:
                begins = True
                self._epoch += 1
                greeting = self._greeting = _Greeting(self._epoch, list(self._held))
        if begins:  # without the lock: the handler of a signal that comes meanwhile may use this handle
            self._greet(greeting)
        if not greeting.is_known:
            # The first one waits until the actor is made.
            within = MAKING_WITHIN if self._generation is None else ANSWER_WITHIN
            try:
                answer = yield Ask(greeting.future, within, _nothing)
            except Exception:
                self.end_epoch(greeting.epoch)
                raise
            self._greeted(greeting, answer)
        return greeting.epoch

    def _greet(self, greeting: _Greeting) -> None:
        def answered(future: concurrent.futures.Future[Any]) -> None:
            error = future.exception()
            if error is not None:
                greeting.future.set_exception(error)
            else:
                greeting.future.set_result(future.result())

        try:
            future = submit(self.actor, "sage_hello", self._id, greeting.epoch, greeting.held, float(self._lease_seconds))
        except BaseException as error:
            greeting.future.set_exception(error)
            self.end_epoch(greeting.epoch)
            raise
        future.add_done_callback(answered)

    def _greeted(self, greeting: _Greeting, answer: dict[str, Any]) -> None:
        """A queue that is another one stays so: each call is told."""
        if self._generation not in (None, answer["generation"]):
            raise QueueShutDownError("The queue was shut down and drained, and another one was started under its name.")
        if self._incarnation not in (None, answer["incarnation"]):
            raise QueueConnectionError("The actor that this handle knew is dead, and another one runs under its name.")
        with self._lock:
            if not greeting.is_known:
                self._generation, self._incarnation = answer["generation"], answer["incarnation"]
                self.maxsize, self.applied = answer["maxsize"], answer["applied"]
                greeting.is_known = True

    def end_epoch(self, epoch: int | None = None) -> None:
        """Another one has to begin, if that one (by default: the one there is) has not ended already."""
        with self._lock:
            if epoch in (None, self._epoch):
                self._greeting = None

    def call(self, method: str, *arguments: Any, wait: float = 0.0, takes: bool = False, abandoned: Any = None) -> Steps[Any]:
        """[status, rest] of `method`, with what is to be settled on the way. `takes`: the rest is leases, which are held from here on.
        `abandoned` gets an answer that nobody waits for."""
        stale = 0
        while True:
            epoch = yield from self.ready()
            number = next(self._calls)
            settlements = self._send_settlements()
            future = submit(self.actor, method, [self._id, epoch, _merged(settlements), *_numbered(arguments, number)])
            abandon = self._abandoning(future, epoch, number if wait > 0 else None, abandoned)
            answer = yield Ask(future, wait + ANSWER_WITHIN, abandon)
            is_stale = isinstance(answer, (list, tuple)) and answer[0] == "stale"
            with self._lock:
                is_current = epoch == self._epoch
                # An actor of an earlier version does not say of each call that it is stale.
                if is_current and not is_stale:
                    self._told(settlements)
                    if takes:
                        self._held.update(lease for lease, _, _ in answer[1])
            if not is_stale and (is_current or method not in _OF_THEIR_EPOCH):
                if takes and answer[1]:
                    self._speak_for_it()
                return answer
            if self._left and method != "sage_bye":
                raise QueueClosedError(CLOSED)
            if wait > 0 and not is_current:
                # Whoever waits knows how long it still does. What was put is in.
                return ["ok", [] if takes else answer[1]]
            if is_current:
                stale += 1
                if stale > _MAX_STALE:
                    raise QueueClosedError(
                        "The queue forgets this handle each time that it introduces itself. Resolve the descriptor again."
                    )
            self.end_epoch(epoch)

    def _abandoning(self, future: Any, epoch: int, waits: int | None, abandoned: Any) -> Callable[[], None]:
        """Wakes the call, which then answers with what it has."""

        def abandon() -> None:
            if waits is not None and not future.done():
                submit(self.actor, "sage_cancel", self._id, epoch, waits)
            if abandoned is not None:
                future.add_done_callback(lambda done: None if done.exception() else abandoned(done.result()))

        return abandon

    # ── what it holds ────────────────────────────────────────────────────────

    def _speak_for_it(self) -> None:
        with self._lock:
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
            with self._lock:
                self._held.update(leases)
            self._speak_for_it()
            self.settle(leases, _UNSEEN)

    def _send_settlements(self) -> list[Settlement]:
        """With the one that has gathered since the last call."""
        with self._lock:
            if any(self._settlement):
                self._sent.append(self._settlement)
                self._settlement = ([], [], [])
            return list(self._sent)

    def _told(self, settlements: list[Settlement]) -> None:
        told = {id(one) for one in settlements}
        self._sent = [one for one in self._sent if id(one) not in told]
        for leases in itertools.chain.from_iterable(settlements):
            self._held.difference_update(leases)

    def state(self) -> Steps[dict[str, Any]]:
        """Once it is known, so is everything that was settled before."""
        return (yield from self.call("sage_state"))  # type: ignore[no-any-return]

    def _speak_up(self) -> None:
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

    def forget(self) -> None:
        """Nobody speaks for it any more: its actor is dead, or it leaves."""
        self._left = True
        self._speak.set()

    def leave(self) -> None:
        """What it holds goes back. An actor that is silent is not waited for longer than an answer takes, whatever it is asked meanwhile."""
        self.forget()
        try:
            run(self.call("sage_bye"), ANSWER_WITHIN)
        except (Exception, concurrent.futures.CancelledError):  # its leases then run out
            return


NUMBER = object()


def _numbered(arguments: tuple[Any, ...], number: int) -> list[Any]:
    return [number if one is NUMBER else one for one in arguments]


def _merged(settlements: list[Settlement]) -> Settlement:
    acks, releases, unseen = ([lease for one in settlements for lease in one[how]] for how in range(3))
    return acks, releases, unseen
