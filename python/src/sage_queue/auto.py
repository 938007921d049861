"""`auto`: the owner's sage_queue where its shared memory is within reach, the owner's rpc endpoint elsewhere. Never anything private to this
host: owner and reader would talk past each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .descriptor import QueueDescriptor
from .errors import InvalidDescriptorError, QueueConnectionError, describe
from .host import host_identity
from .queue import Queue

_OWNER = ("owner_boot_id", "owner_shm_device", "owner_shm_inode", "owner_pid_namespace")


def _difference(metadata: Mapping[str, Any], here: dict[str, Any]) -> str | None:
    """None: this is where the owner lives. Otherwise how one can tell that it is not."""
    boot, device, inode = (metadata.get(name) for name in _OWNER[:3])
    if here["owner_boot_id"] is None or boot != here["owner_boot_id"]:
        return f"the owner's host has boot id {boot}, this one {here['owner_boot_id']}"
    inode_differs = isinstance(inode, (int, float)) and inode != here["owner_shm_inode"]
    if here["owner_shm_device"] is None or device != here["owner_shm_device"] or inode_differs:
        return (
            f"the owner's directory of segments is device {device}, inode {inode}, the one here device "
            f"{here['owner_shm_device']}, inode {here['owner_shm_inode']}: a container with another /dev/shm, or another SAGE_QUEUE_DIR?"
        )
    return None


def _is_owners(metadata: Mapping[str, Any], here: dict[str, Any]) -> bool:
    """Whether this is a process of the user and the container that the descriptor was made in, as far as it says."""
    uid, namespace = metadata.get("owner_uid"), metadata.get("owner_pid_namespace")
    same_user = not isinstance(uid, (int, float)) or uid == os.getuid()
    return same_user and (not isinstance(namespace, str) or namespace == here["owner_pid_namespace"])


def _choose(descriptor: QueueDescriptor, here: dict[str, Any]) -> QueueDescriptor:
    metadata = descriptor.metadata
    elsewhere = _difference(metadata, here)
    chosen: tuple[str, dict[str, Any]]
    if elsewhere is None:
        chosen = "sage_queue", {key: value for key, value in metadata.items() if key not in (*_OWNER, "rpc")}
    else:
        rpc = metadata.get("rpc")
        if rpc is None:
            raise QueueConnectionError(
                f"the queue '{descriptor.queue_id}' lives where this process cannot reach its shared memory ({elsewhere}), and its "
                "descriptor names no rpc endpoint. Serve it with a QueueServer there, and make the descriptor with rpc"
            )
        if not isinstance(rpc, Mapping):
            raise InvalidDescriptorError(
                f"metadata.rpc of an 'auto' descriptor is {{ server_address, port }}; found {describe(rpc)}"
            )
        kept = {key: metadata[key] for key in ("codec", "schema") if metadata.get(key) is not None}
        chosen = "rpc", {**rpc, **kept}
    return QueueDescriptor(descriptor.queue_id, *chosen, descriptor.created_timestamp)


def resolve_auto(
    descriptor: QueueDescriptor,
    *,
    create: str,
    producer: bool | int,
    credentials: Mapping[str, Any] | None,
    resolve: Callable[..., Queue[Any]],
) -> Queue[Any]:
    """`stats()["queue_type"]` of the result says which it became; its descriptor stays the one that was given."""
    here = host_identity()
    chosen = _choose(descriptor, here)
    if create == "if-missing" and chosen.queue_type == "sage_queue" and not _is_owners(descriptor.metadata, here):
        # In another container a queue that this process makes may be one that its owner cannot open, or never comes to.
        create = "never"
    queue = resolve(chosen, create=create, producer=producer, credentials=credentials)
    queue.descriptor = descriptor
    return queue
