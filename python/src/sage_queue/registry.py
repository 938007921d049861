"""From a descriptor to a queue: the one place that knows all types."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .adapter import AdaptedQueue
from .descriptor import QueueDescriptor
from .errors import InvalidDescriptorError, UnknownQueueTypeError
from .local import LocalQueue
from .metadata import describe
from .queue import Queue, QueueLike
from .shared import SharedQueue

Implementation = Callable[[QueueDescriptor], QueueLike]

_BUILT_IN: dict[str, type[Queue[Any]]] = {"local": LocalQueue, "shm": SharedQueue, "sage_queue": SharedQueue}
_ELSEWHERE = ("rpc", "ray_queue", "ray_actor", "auto")
_registered: dict[str, Implementation] = {}
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
    return sorted({*_BUILT_IN, *_registered})


def descriptor_of(reference: QueueDescriptor | str | Mapping[str, Any]) -> QueueDescriptor:
    if isinstance(reference, QueueDescriptor):
        return reference
    if isinstance(reference, str) and _URI.match(reference):
        return QueueDescriptor.from_uri(reference)
    return QueueDescriptor.from_json(reference)


def resolve_descriptor(
    descriptor: QueueDescriptor | str | Mapping[str, Any], *, create: str = "if-missing", producer: bool | int = False
) -> Queue[Any]:
    """The queue of a descriptor, its JSON text or object, or a URI. `create`: 'if-missing', 'never' (QueueNotFoundError) or
    'exclusive' (QueueExistsError). `producer`: this handle is a producer's; an int is how many are expected."""
    wanted = descriptor_of(descriptor)
    implementation = _registered.get(wanted.queue_type)
    if implementation is not None:
        if producer is not False:
            raise InvalidDescriptorError(f"a queue of type {wanted.queue_type} has no producers")
        return _whole(implementation(wanted), wanted)
    built_in = _BUILT_IN.get(wanted.queue_type)
    if built_in is not None:
        return built_in(wanted, create=create, producer=producer)  # type: ignore[call-arg]
    hint = (
        "Python reaches it through a queue that Node serves or forwards; see docs/python.md."
        if wanted.queue_type in _ELSEWHERE
        else "Add it with register_queue_implementation()."
    )
    raise UnknownQueueTypeError(
        f"Nothing implements the queue type '{wanted.queue_type}' here; known are: {', '.join(get_registered_queue_types())}. {hint}"
    )


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
