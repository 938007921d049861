"""The way to an actor: Ray itself, which is an extra (sage-queue[ray]), calls as futures, and what its errors mean."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeVar

from ..descriptor import QueueDescriptor
from ..errors import (
    QueueConnectionError,
    QueueError,
    QueueExistsError,
    QueueNotFoundError,
    SerializationError,
)
from ..waker import SLICE
from .actor_source import NAME, SOURCE

R = TypeVar("R")

#: How long an actor may be silent beyond what a call waits for the queue; one that is made has to start a process.
ANSWER_WITHIN, MAKING_WITHIN = 3.0, 30.0
DEFAULT_NAMESPACE = "sage_queue"


class Ask(NamedTuple):
    """One call of the actor under way."""

    future: concurrent.futures.Future[Any]
    #: Seconds.
    within: float
    #: Nobody waits for it any more.
    abandon: Callable[[], None]


Steps = Generator[Ask, Any, R]


def load() -> Any:
    """@raise QueueConnectionError naming the command that installs it"""
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise QueueConnectionError(
            f"Queues on Ray need the package ray: {error}. Type: pip install 'sage-queue[ray]'"
        ) from error
    return ray


def connected(descriptor: QueueDescriptor) -> Any:
    """Ray, connected: as the program, or the task, did it; else to the `address` of the descriptor, or $RAY_ADDRESS."""
    ray = load()
    if not ray.is_initialized():
        address = descriptor.metadata.get("address") or os.environ.get("RAY_ADDRESS") or "auto"
        try:
            ray.init(address=address, namespace=namespace_of(descriptor), log_to_driver=False, logging_level="warning")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise QueueConnectionError(f"there is no way to the Ray cluster at {address}: {error}") from error
    return ray


def namespace_of(descriptor: QueueDescriptor) -> str:
    return descriptor.metadata.get("namespace") or DEFAULT_NAMESPACE


def find_actor(descriptor: QueueDescriptor, name: str, create: str) -> Any:
    """That of this name, made when it is missing and may be. @raise QueueExistsError, QueueNotFoundError"""
    ray = connected(descriptor)
    namespace = namespace_of(descriptor)
    where = f"in namespace '{namespace}'"
    try:
        actor = ray.get_actor(name, namespace=namespace)
    except ValueError:
        actor = None
    if actor is not None:
        if create == "exclusive":
            raise QueueExistsError(f"An actor named '{name}' exists already {where}, and create is 'exclusive'.")
        return actor
    may_create = descriptor.queue_type == "ray_queue" or descriptor.metadata.get("create") is not False
    if create == "never" or not may_create:
        raise QueueNotFoundError(f"There is no actor named '{name}' {where}, and it is not to be created.")
    # Of no module that could be imported, so that the class goes to the cluster with its code.
    space: dict[str, Any] = {"__name__": "sage_queue_actor"}
    exec(SOURCE, space)
    remote = ray.remote(space[NAME]).options(
        name=name,
        namespace=namespace,
        lifetime="detached",
        num_cpus=0,
        max_concurrency=1000,
        get_if_exists=create != "exclusive",
    )
    try:
        return remote.remote(descriptor.metadata.get("maxsize") or 0)
    except ValueError as error:
        if create == "exclusive":
            raise QueueExistsError(f"An actor named '{name}' exists already {where}.") from error
        raise


def submit(actor: Any, method: str, *arguments: Any, **named: Any) -> concurrent.futures.Future[Any]:
    """@raise SerializationError for what cannot be pickled"""
    try:
        reference = getattr(actor, method).remote(*arguments, **named)
    except (TypeError, ValueError, AttributeError) as error:
        if "pickle" in str(error) or "serialize" in str(error):
            raise SerializationError(f"The item cannot be pickled: {error}. The queue is unchanged.") from error
        raise
    return reference.future()  # type: ignore[no-any-return]


def unanswered(what: str, seconds: float, *, unknown: bool = False) -> QueueError:
    error = QueueConnectionError(
        f"{what}: no answer from the actor within {round(seconds * 1000)} ms. It is busy, out of reach, or Ray has no place to run it"
        + ("; the outcome is unknown." if unknown else ".")
    )
    error.outcome = "unknown" if unknown else None
    return error


def is_dead(error: BaseException) -> bool:
    """What the actor held is gone."""
    exceptions = load().exceptions
    gone = (exceptions.RayActorError,)
    unavailable = getattr(exceptions, "ActorUnavailableError", ())
    return isinstance(error, gone) and not (unavailable and isinstance(error, unavailable))


def explained(what: str, error: BaseException, *, unknown: bool) -> BaseException:
    """In the words of the package, where it is Ray that speaks."""
    ray = load()
    if isinstance(error, QueueError) or not isinstance(error, (ray.exceptions.RayError, ConnectionError)):
        return error
    said = str(error).strip().splitlines()
    dead = is_dead(error)
    gone = " What the queue held is gone. The next call of this handle attaches anew." if dead else ""
    found = QueueConnectionError(f"{what}: {said[-1] if said else type(error).__name__}{gone}")
    found.outcome = "unknown" if unknown else None
    return found


def result_of(future: concurrent.futures.Future[Any], within: float) -> Any:
    """@raise TimeoutError when there is none in time"""
    end = time.monotonic() + within
    while True:
        left = end - time.monotonic()
        try:
            return future.result(max(0.0, min(SLICE, left)))
        except concurrent.futures.TimeoutError:
            if left <= SLICE or future.done():
                raise


async def _answer_in_loop(ask: Ask) -> Any:
    await asyncio.wait((asyncio.shield(asyncio.wrap_future(ask.future)),), timeout=ask.within)
    return ask.future.result(0)


async def _follow(steps: Steps[R], answer: Callable[[Ask], Awaitable[Any]]) -> R:
    try:
        ask = next(steps)
        while True:
            try:
                found = await answer(ask)
            except BaseException as error:
                ask = _failed(steps, ask, error)
            else:
                ask = steps.send(found)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def run(steps: Steps[R], within: float | None = None) -> R:
    """In a thread, all of them within so many seconds. What a signal's handler raises ends it, as the steps provide."""
    by = None if within is None else time.monotonic() + within

    async def answer(ask: Ask) -> Any:
        """Never suspends: the thread waits."""
        return result_of(ask.future, ask.within if by is None else min(ask.within, max(0.0, by - time.monotonic())))

    try:
        _follow(steps, answer).send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("a wait of a thread was suspended")


async def arun(steps: Steps[R]) -> R:
    return await _follow(steps, _answer_in_loop)


def _failed(steps: Steps[R], ask: Ask, error: BaseException) -> Ask:
    # Also where the answer has just come: nobody gets it.
    if not ask.future.done() or not (ask.future.cancelled() or ask.future.exception() is error):
        ask.abandon()
        if isinstance(error, (concurrent.futures.TimeoutError, TimeoutError)):
            error = TimeoutError()
    return steps.throw(error)
