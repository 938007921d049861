"""References to queues as data: what `resolve_descriptor` needs to find or make one, here, in another process or in another language."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from .errors import InvalidDescriptorError, describe
from .host import host_identity
from .metadata import check_built_in, freeze, refuse_unknown, thaw

_NATIVE = ("capacity_bytes", "codec", "schema", "mode")
_SAGE = ("auto_cleanup", "namespace", "enable_multi_tenant", *_NATIVE)
_RPC = ("maxsize", "tls", "codec", "schema")
_RAY = ("address", "namespace", "create")

URI_FORMS = "shm:NAME, sage:NAME, rpc://HOST:PORT/ID, rpc+unix:/PATH#ID, ray://HOST:PORT/ID or ray-actor://HOST:PORT/NAME"


def _made_up(prefix: str, queue_id: str | None) -> str:
    return f"{prefix}_{secrets.token_hex(4)}" if queue_id is None else queue_id


def _given(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _schema_data(name, options[name]) for name in names if options.get(name) is not None}


def _schema_data(name: str, value: Any) -> Any:
    if name != "schema" or isinstance(value, (str, list, tuple, Mapping)):
        return value
    from .schema_node import schema_of

    return schema_of(value)


def _non_empty(name: str, value: Any) -> str:
    if isinstance(value, str) and value != "":
        return value
    raise InvalidDescriptorError(f"{name} must be a non-empty string, found {describe(value)}.")


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


class QueueDescriptor:
    """Immutable. Pickles (and so goes to multiprocessing, concurrent.futures and Ray workers) as its JSON."""

    __slots__ = ("queue_id", "queue_type", "metadata", "created_timestamp")
    queue_id: str
    queue_type: str
    metadata: Mapping[str, Any]
    created_timestamp: float

    def __init__(
        self,
        queue_id: str,
        queue_type: str,
        metadata: Mapping[str, Any] | None = None,
        created_timestamp: float | None = None,
    ) -> None:
        set_once = object.__setattr__
        set_once(self, "queue_id", _non_empty("queue_id", queue_id))
        set_once(self, "queue_type", _non_empty("queue_type", queue_type))
        if metadata is not None and not isinstance(metadata, Mapping):
            raise InvalidDescriptorError(f"metadata must be an object, found {describe(metadata)}.")
        set_once(self, "metadata", freeze({} if metadata is None else metadata))
        check_built_in(queue_type, self.metadata)
        stamp = time.time() if created_timestamp is None else created_timestamp
        if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or not math.isfinite(stamp):
            raise InvalidDescriptorError(
                f"created_timestamp must be seconds since the epoch (a finite number), found {describe(stamp)}."
            )
        set_once(self, "created_timestamp", stamp)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a QueueDescriptor is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a QueueDescriptor is immutable: {name} cannot be deleted")

    @classmethod
    def create_local_queue(cls, queue_id: str | None = None, *, maxsize: int = 0, **options: Any) -> QueueDescriptor:
        refuse_unknown(options, ("maxsize", "schema"))
        return cls(_made_up("local", queue_id), "local", {"maxsize": maxsize, **_given(options, ("schema",))})

    @classmethod
    def create_shm_queue(
        cls, queue_id: str | None, shm_name: str, *, maxsize: int = 1000, **options: Any
    ) -> QueueDescriptor:
        """A queue in shared memory, addressed by `shm_name`, whatever the id. Options: capacity_bytes, codec, schema, mode."""
        refuse_unknown(options, ("maxsize", *_NATIVE))
        metadata = {"shm_name": _non_empty("shm_name", shm_name), "maxsize": maxsize, **_given(options, _NATIVE)}
        return cls(_made_up("shm", queue_id), "shm", metadata)

    @classmethod
    def create_sage_queue(cls, queue_id: str | None = None, *, maxsize: int = 1000, **options: Any) -> QueueDescriptor:
        """A queue in shared memory with namespaces and owners, addressed by its id. Options: auto_cleanup, namespace,
        enable_multi_tenant, capacity_bytes, codec, schema, mode."""
        refuse_unknown(options, ("maxsize", *_SAGE))
        tenant = options.get("enable_multi_tenant")
        metadata = {
            "maxsize": maxsize,
            "auto_cleanup": True if options.get("auto_cleanup") is None else options["auto_cleanup"],
            "namespace": options.get("namespace"),
            "enable_multi_tenant": True if tenant is None else tenant,
            **({} if tenant is False else {"owner_uid": os.getuid()}),
            **_given(options, _NATIVE),
        }
        return cls(_made_up("sage", queue_id), "sage_queue", metadata)

    @classmethod
    def create_rpc_queue(
        cls, server_address: str, port: int, queue_id: str | None = None, **options: Any
    ) -> QueueDescriptor:
        refuse_unknown(options, _RPC)
        metadata = {"server_address": _non_empty("server_address", server_address), **_given(options, _RPC)}
        if port is not None:
            metadata["port"] = port
        elif not server_address.startswith("unix:"):
            raise InvalidDescriptorError("port must be an integer from 1 to 65535, found none.")
        return cls(_made_up("rpc", queue_id), "rpc", metadata)

    @classmethod
    def create_ray_queue(cls, queue_id: str | None = None, *, maxsize: int = 0, **options: Any) -> QueueDescriptor:
        refuse_unknown(options, ("maxsize", *_RAY))
        return cls(_made_up("ray_queue", queue_id), "ray_queue", {"maxsize": maxsize, **_given(options, _RAY)})

    @classmethod
    def create_ray_actor_queue(
        cls, queue_id: str | None, actor_name: str, *, maxsize: int = 0, **options: Any
    ) -> QueueDescriptor:
        refuse_unknown(options, ("maxsize", *_RAY))
        metadata = {"actor_name": _non_empty("actor_name", actor_name), "maxsize": maxsize, **_given(options, _RAY)}
        return cls(_made_up("ray_actor", queue_id), "ray_actor", metadata)

    @classmethod
    def create_auto_queue(
        cls, queue_id: str | None = None, *, maxsize: int = 1000, rpc: Mapping[str, Any] | None = None, **options: Any
    ) -> QueueDescriptor:
        """This host's sage_queue, and elsewhere the endpoint `rpc`: {"server_address": …, "port": …, "tls": …}, which its owner serves.
        Options as those of create_sage_queue."""
        sage = cls.create_sage_queue("here", maxsize=maxsize, **options).metadata
        owner = {**host_identity(), "owner_uid": os.getuid(), **({} if rpc is None else {"rpc": rpc})}
        return cls(_made_up("auto", queue_id), "auto", {**sage, **owner})

    def to_json(self) -> str:
        return json.dumps(
            {
                "queue_id": self.queue_id,
                "queue_type": self.queue_type,
                "metadata": thaw(self.metadata),
                "created_timestamp": self.created_timestamp,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> QueueDescriptor:
        """The text, or the parsed object. Extra keys are ignored; a missing or null timestamp means now."""
        try:
            wire = json.loads(text, parse_constant=_refuse_constant) if isinstance(text, (str, bytes)) else text
        except (ValueError, RecursionError) as error:
            raise InvalidDescriptorError(f"The descriptor cannot be read: {error}.") from error
        if not isinstance(wire, Mapping):
            raise InvalidDescriptorError(
                "A descriptor is a JSON object with queue_id, queue_type, metadata and created_timestamp, "
                f"found {describe(wire)}."
            )
        get = wire.get
        return cls(get("queue_id"), get("queue_type"), get("metadata"), get("created_timestamp"))  # type: ignore[arg-type]

    @classmethod
    def from_uri(cls, uri: str) -> QueueDescriptor:
        """As on the command line: shm:NAME, sage:NAME, rpc://HOST:PORT/ID, ray://HOST:PORT/ID, ray-actor://HOST:PORT/NAME."""
        native = re.fullmatch(r"(shm|sage):(?!//)(.+)", uri, re.S)
        if native is not None:
            name = native[2]
            return cls.create_shm_queue(name, name) if native[1] == "shm" else cls.create_sage_queue(name)
        socket = re.fullmatch(r"rpc\+unix:(/[^#]+)#(.+)", uri, re.S)
        if socket is not None:
            return cls.create_rpc_queue(f"unix:{unquote(socket[1])}", None, unquote(socket[2]))  # type: ignore[arg-type]
        parts = re.fullmatch(r"(rpc|ray|ray-actor)://(\[[^\]]+\]|[^:/@?#]+):(\d+)/(.+)", uri, re.S)
        if parts is None or not 1 <= int(parts[3]) <= 65535:
            raise InvalidDescriptorError(f"{describe(uri)} names no queue. Expected {URI_FORMS}.")
        scheme, host, port, name = parts[1], parts[2], int(parts[3]), unquote(parts[4])
        if scheme == "rpc":
            return cls.create_rpc_queue(host.strip("[]"), port, name)
        address = f"ray://{host}:{port}"
        if scheme == "ray":
            return cls.create_ray_queue(name, address=address)
        return cls.create_ray_actor_queue(name, name, address=address)

    def clone(self, queue_id: str | None = None) -> QueueDescriptor:
        """The same queue; under another id another one, except for `shm` and `ray_actor`, which go by the name in the metadata."""
        if queue_id is None or queue_id == self.queue_id:
            return QueueDescriptor(self.queue_id, self.queue_type, self.metadata, self.created_timestamp)
        return QueueDescriptor(queue_id, self.queue_type, self.metadata)

    def __eq__(self, other: object) -> bool:
        """Id, type and metadata; the timestamp does not count."""
        if not isinstance(other, QueueDescriptor):
            return NotImplemented
        mine = (self.queue_id, self.queue_type, thaw(self.metadata))
        return mine == (other.queue_id, other.queue_type, thaw(other.metadata))

    def __hash__(self) -> int:
        return hash((self.queue_id, self.queue_type))

    def __reduce__(self) -> tuple[Any, ...]:
        return (QueueDescriptor.from_json, (self.to_json(),))

    def __repr__(self) -> str:
        return f"QueueDescriptor({self.queue_type}:{self.queue_id})"
