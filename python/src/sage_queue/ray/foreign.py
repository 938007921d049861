"""A queue in somebody else's actor, `ray.util.queue.Queue`'s among them: at most once, and what it can do depends on its methods."""

from __future__ import annotations

import concurrent.futures
import queue as standard
import time
from collections import deque
from typing import Any

from ..errors import QueueConnectionError
from .cluster import ANSWER_WITHIN, explained, load, result_of, submit

#: The longest that one call blocks in the actor, so that a get whose program is gone soon ends.
_LONGEST = 1.0
_FIRST_PAUSE, _LAST_PAUSE = 0.005, 0.1


def _inspect(actor: Any) -> dict[str, tuple[bool, list[str]]]:
    """In the actor: which methods there are, whether each is a coroutine, and its parameters."""
    import inspect

    names = ("put", "get", "empty", "qsize", "full", "put_nowait", "get_nowait")
    return {
        name: (inspect.iscoroutinefunction(getattr(actor, name)), list(inspect.signature(getattr(actor, name)).parameters))
        for name in names
        if callable(getattr(actor, name, None))
    }


class ForeignActor:
    """put, get, empty and qsize, over which `AdaptedQueue` has the rest."""

    def __init__(self, actor: Any, name: str) -> None:
        self._actor = actor
        self._name = name
        # By its source, so that the actor needs nothing of this package.
        space: dict[str, Any] = {"__name__": "sage_queue_inspect"}
        import inspect

        exec("from typing import Any\n" + inspect.getsource(_inspect), space)
        self._methods: dict[str, tuple[bool, list[str]]] = self._ask("__ray_call__", space["_inspect"])
        missing = [one for one in ("put", "get", "empty", "qsize") if one not in self._methods]
        if missing:
            raise QueueConnectionError(
                f"The actor '{name}' is no queue: its class has no {', '.join(missing)}. A queue needs put, get, empty and qsize."
            )
        #: Came for a get that had left: first to go out again.
        self._late: deque[Any] = deque()

    def _ask(self, method: str, *arguments: Any, wait: float = 0.0, keep: bool = False, **named: Any) -> Any:
        future = submit(self._actor, method, *arguments, **named)
        try:
            return result_of(future, wait + 10 * ANSWER_WITHIN)
        except BaseException as error:
            if keep and not future.done():
                future.add_done_callback(self._keep)
            causes = (error, getattr(error, "cause", None))
            if any(type(one).__name__ in ("Empty", "QueueEmpty") or isinstance(one, standard.Empty) for one in causes):
                raise standard.Empty from None
            if any(type(one).__name__ in ("Full", "QueueFull") or isinstance(one, standard.Full) for one in causes):
                raise standard.Full from None
            if isinstance(error, (concurrent.futures.TimeoutError, TimeoutError)):
                raise QueueConnectionError(f"{method}: no answer from the actor '{self._name}'.") from None
            found = explained(f"{method} of the actor '{self._name}'", error, unknown=method.startswith("put"))
            if found is error:
                raise
            raise found from error

    def _keep(self, future: concurrent.futures.Future[Any]) -> None:
        if future.exception() is None:
            self._late.append(future.result())

    def _waits(self, method: str) -> bool:
        """A method that blocks is called only where it does not block the whole actor."""
        is_async, parameters = self._methods[method]
        return is_async and "timeout" in parameters

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._again(lambda left: self._put_once(item, left), self._waits("put"), standard.Full, block, timeout)

    def _put_once(self, item: Any, wait: float) -> None:
        if wait > 0 and self._waits("put"):
            self._ask("put", item, timeout=wait, wait=wait)
        elif "put_nowait" in self._methods:
            self._ask("put_nowait", item)
        elif "block" in self._methods["put"][1]:
            self._ask("put", item, block=False)
        elif "full" in self._methods and self._ask("full"):
            raise standard.Full
        else:
            self._ask("put", item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return self._again(self._get_once, self._waits("get"), standard.Empty, block, timeout)

    def _get_once(self, wait: float) -> Any:
        if self._late:
            return self._late.popleft()
        if wait > 0 and self._waits("get"):
            return self._ask("get", timeout=wait, wait=wait, keep=True)
        if "get_nowait" in self._methods:
            return self._ask("get_nowait", keep=True)
        if "block" in self._methods["get"][1]:
            return self._ask("get", block=False, keep=True)
        if self._ask("empty"):
            raise standard.Empty
        return self._ask("get", keep=True)

    @staticmethod
    def _again(call: Any, waits: bool, pending: type[Exception], block: bool, timeout: float | None) -> Any:
        end = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while True:
            left = 0.0 if not block else _LONGEST if end is None else max(0.0, min(_LONGEST, end - time.monotonic()))
            try:
                return call(left)
            except pending:
                if not block or (end is not None and time.monotonic() >= end):
                    raise
            if not waits:
                time.sleep(min(pause, left))
                pause = min(2 * pause, _LAST_PAUSE)

    def empty(self) -> bool:
        return not self._late and bool(self._ask("empty"))

    def qsize(self) -> int:
        return len(self._late) + int(self._ask("qsize"))

    def full(self) -> bool:
        return "full" in self._methods and bool(self._ask("full"))

    def close(self) -> None:
        """What came too late belongs to the queue: it goes back, behind the rest."""
        while self._late and load().is_initialized():
            self.put(self._late.popleft(), False)
