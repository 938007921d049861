"""What `local` queues keep their items in: one for each id, as long as it has handles or items."""

from __future__ import annotations

import os
import threading

from .errors import ConfigMismatchError, QueueExistsError, QueueNotFoundError
from .memory_store import MemoryStore

_stores: dict[str, MemoryStore] = {}
_stores_lock = threading.Lock()


def _after_fork_in_child() -> None:
    global _stores_lock
    _stores_lock = threading.Lock()
    for store in _stores.values():
        store.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)


def attach(queue_id: str, maxsize: int, create: str) -> MemoryStore:
    """For one more handle, which it counts. @raise QueueNotFoundError, QueueExistsError, ConfigMismatchError"""
    with _stores_lock:
        store = _stores.get(queue_id)
        if store is not None and store.handles == 0 and store.shut and store.size == 0:
            store = None  # it has ended: the next to come starts a new one
        if store is None:
            if create == "never":
                raise QueueNotFoundError(f"there is no local queue '{queue_id}' in this process")
            store = _stores[queue_id] = MemoryStore(maxsize)
        elif create == "exclusive":
            raise QueueExistsError(f"the local queue '{queue_id}' exists already")
        elif maxsize not in (0, store.maxsize):
            raise ConfigMismatchError(
                f"The queue '{queue_id}' exists with another configuration than the descriptor asks for: "
                f"maxsize {store.maxsize}, asked for is {maxsize}."
            )
        store.handles += 1
    return store


def forget_unused(queue_id: str, store: MemoryStore) -> None:
    with _stores_lock:
        if store.handles == 0 and store.size == 0 and _stores.get(queue_id) is store:
            del _stores[queue_id]
