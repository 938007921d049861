"""From a descriptor to a queue: the one place that knows all types."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .adapter import AdaptedQueue
from .descriptor import QueueDescriptor
from .errors import InvalidDescriptorError, UnknownQueueTypeError, describe
from .local import LocalQueue
from .queue import Queue, QueueLike, expected_producers
from .shared import SharedQueue

Implementation = Callable[[QueueDescriptor], QueueLike]

_HERE: dict[str, type[Queue[Any]]] = {"local": LocalQueue, "shm": SharedQueue, "sage_queue": SharedQueue}


def _remote(queue_type: str) -> Callable[..., Queue[Any]]:
    """A transport is loaded when a type that needs it is first resolved."""
    if queue_type == "rpc":
        from .rpc.queue import RpcQueue

        return RpcQueue
    if queue_type != "auto":
        from .ray.queue import resolve_ray

        return resolve_ray
    from .auto import resolve_auto

    return lambda descriptor, **options: resolve_auto(descriptor, **options, resolve=resolve_descriptor)


_REMOTE = ("rpc", "auto", "ray_queue", "ray_actor")
_registered: dict[str, Implementation] = {}
CREATE = ("if-missing", "never", "exclusive")
_lock = threading.Lock()
_URI = re.compile(r"[a-z][a-z+.-]*:", re.I)


def register_queue_implementation(queue_type: str, implementation_class: Implementation) -> None:
    """A class, or a function, that takes the descriptor and gives an object with put, get, empty and qsize. Replaces an earlier one,
    a built-in one too."""
    if not isinstance(queue_type, str) or queue_type == "":
        raise TypeError(f"queue_type must be a non-empty string, found {describe(queue_type)}")
    if not callable(implementation_class):
        raise TypeError(f"an implementation is called with the descriptor, found {describe(implementation_class)}")
    with _lock:
        _registered[queue_type] = implementation_class


def unregister_queue_implementation(queue_type: str) -> bool:
    """Whether there was one. A built-in one that it replaced is back then."""
    with _lock:
        return _registered.pop(queue_type, None) is not None


def get_registered_queue_types() -> list[str]:
    return sorted({*_HERE, *_REMOTE, *_registered})


def descriptor_of(reference: QueueDescriptor | str | Mapping[str, Any]) -> QueueDescriptor:
    if isinstance(reference, QueueDescriptor):
        return reference
    if isinstance(reference, str) and _URI.match(reference):
        return QueueDescriptor.from_uri(reference)
    return QueueDescriptor.from_json(reference)


def resolve_descriptor(
    descriptor: QueueDescriptor | str | Mapping[str, Any],
    *,
    create: str = "if-missing",
    producer: bool | int = False,
    credentials: Mapping[str, Any] | None = None,
) -> Queue[Any]:
    """The queue of a descriptor, its JSON text or object, or a URI. `create`: 'if-missing', 'never' (QueueNotFoundError) or
    'exclusive' (QueueExistsError). `producer`: this handle is a producer's; an int is how many are expected. `credentials` are for rpc: a token,
    and ca, cert and key as PEM texts or paths; they are never part of a descriptor, and so do not pickle."""
    wanted = descriptor_of(descriptor)
    if create not in CREATE:
        raise ValueError(f"create is 'if-missing', 'never' or 'exclusive', found {create!r}")
    implementation = _registered.get(wanted.queue_type)
    if implementation is not None:
        if expected_producers(producer) is not None:
            raise InvalidDescriptorError(f"a queue of type {wanted.queue_type} has no producers")
        return _whole(implementation(wanted), wanted)
    here = _HERE.get(wanted.queue_type)
    if here is not None:
        return here(wanted, create=create, producer=producer)  # type: ignore[call-arg]
    if wanted.queue_type in _REMOTE:
        return _remote(wanted.queue_type)(wanted, create=create, producer=producer, credentials=credentials)
    raise UnknownQueueTypeError(
        f"Nothing implements the queue type '{wanted.queue_type}' here; known are: {', '.join(get_registered_queue_types())}. "
        "Add it with register_queue_implementation()."
    )


Queue._resolve = resolve_descriptor


def _whole(found: QueueLike, descriptor: QueueDescriptor) -> Queue[Any]:
    if isinstance(found, Queue):
        return found
    for method in ("put", "get", "empty", "qsize"):
        if not callable(getattr(found, method, None)):
            raise TypeError(f"an implementation has put, get, empty and qsize; {describe(found)} lacks {method}()")
    return AdaptedQueue(found, descriptor)


def get_local_queue(queue_id: str, *, maxsize: int = 0, **options: Any) -> Queue[Any]:
    return resolve_descriptor(QueueDescriptor.create_local_queue(queue_id, maxsize=maxsize, **options))


def attach_to_shm_queue(queue_id: str | None, shm_name: str, *, maxsize: int = 1000, **options: Any) -> SharedQueue[Any]:
    return resolve_descriptor(  # type: ignore[return-value]
        QueueDescriptor.create_shm_queue(queue_id, shm_name, maxsize=maxsize, **options)
    )


def get_sage_queue(queue_id: str, *, maxsize: int = 1000, **options: Any) -> SharedQueue[Any]:
    return resolve_descriptor(  # type: ignore[return-value]
        QueueDescriptor.create_sage_queue(queue_id, maxsize=maxsize, **options)
    )
