"""Metadata of descriptors: what may stand in it, copied, frozen and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from .errors import InvalidDescriptorError, describe

MAX_DEPTH = 100
_MAX_SAFE = 2**53 - 1


def freeze(value: Any, path: str = "metadata", depth: int = 0) -> Any:
    """A deeply immutable copy: mappings as read-only views, lists as tuples. Only what JSON holds and gives back as it was."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if abs(value) <= _MAX_SAFE:
            return value
        raise InvalidDescriptorError(f"{path} must be an integer that every language holds (up to 2^53 - 1), found {describe(value)}.")
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) <= _MAX_SAFE else value
    if depth >= MAX_DEPTH:
        raise InvalidDescriptorError(f"metadata is nested deeper than {MAX_DEPTH} levels, or contains itself.")
    if isinstance(value, (list, tuple)):
        return tuple(freeze(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value))
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidDescriptorError(f"{path} must have texts as keys, found {describe(key)}.")
        return MappingProxyType({key: freeze(entry, f"{path}.{key}", depth + 1) for key, entry in value.items()})
    raise InvalidDescriptorError(f"{path} must be something JSON can hold, found {describe(value)}.")


def thaw(value: Any) -> Any:
    """The same in dicts and lists, for JSON."""
    if isinstance(value, Mapping):
        return {key: thaw(entry) for key, entry in value.items()}
    return [thaw(entry) for entry in value] if isinstance(value, (list, tuple)) else value


Check = tuple[str, Callable[[Any], bool]]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SAFE


def _integer(first: int, last: int) -> Check:
    return f"an integer from {first} to {last}", lambda value: _is_count(value) and first <= value <= last


def _is_tls(value: Any) -> bool:
    if value in ("off", "system"):
        return True
    return isinstance(value, Mapping) and set(value) == {"ca"} and _text[1](value["ca"]) and "PRIVATE KEY-----" not in value["ca"]


def _is_endpoint(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and _text[1](value.get("server_address"))
        and _port[1](value.get("port"))
        and (value.get("tls") is None or _is_tls(value["tls"]))
    )


def _is_schema(value: Any) -> bool:
    from .schema_node import parse_schema

    return parse_schema(value) is not None


_text: Check = ("a non-empty string", lambda value: isinstance(value, str) and value != "")
_flag: Check = ("true or false", lambda value: isinstance(value, bool))
_count: Check = ("a non-negative integer (0 = no limit on the number of items)", _is_count)
_port = _integer(1, 65535)
_tls: Check = ("'off', 'system' or { ca }", _is_tls)
_schema: Check = ("a schema", _is_schema)
_native = {
    "maxsize": _count,
    "capacity_bytes": _integer(1, _MAX_SAFE),
    "codec": _text,
    "schema": _schema,
    "mode": _integer(0, 0o777),
}
_sage = {
    **_native,
    "auto_cleanup": _flag,
    "namespace": _text,
    "enable_multi_tenant": _flag,
    "owner_uid": _integer(0, 2**32 - 1),
}
_ray = {"maxsize": _count, "address": _text, "namespace": _text, "create": _flag}

_BUILT_IN: dict[str, dict[str, Check]] = {
    "local": {"maxsize": _count, "schema": _schema},
    "shm": {**_native, "shm_name": _text},
    "sage_queue": _sage,
    "auto": {**_sage, "rpc": ("{ server_address, port, tls }", _is_endpoint)},
    "rpc": {
        "maxsize": _count,
        "server_address": _text,
        "port": _port,
        "tls": _tls,
        "codec": _text,
        "schema": _schema,
    },
    "ray_actor": {**_ray, "actor_name": _text},
    "ray_queue": _ray,
}


def check_built_in(queue_type: str, metadata: Mapping[str, Any]) -> None:
    """The known keys of the built-in types must hold what they are for; None counts as absent, other keys are the user's own."""
    checks = _BUILT_IN.get(queue_type, {})
    for key, (expected, holds) in checks.items():
        value = metadata.get(key)
        if value is not None and not holds(value):
            raise InvalidDescriptorError(f"{queue_type}: {key} must be {expected}, found {describe(value)}.")
    if checks and metadata.get("schema") is not None and metadata.get("codec") is not None:
        raise InvalidDescriptorError(f"{queue_type}: a schema says how items become bytes; leave codec out.")


def refuse_unknown(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """A misspelt option would be ignored without a word."""
    import difflib

    for key, value in options.items():
        if key in known or value is None:
            continue
        near = difflib.get_close_matches(key, known, 1, 0.0)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise TypeError(f"There is no option {key!r} here{hint}; known are: {', '.join(known)}.")
