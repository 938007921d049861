"""How an item becomes bytes, and back. Each item travels with the id of its codec; the ids are frozen (docs/wire-format.md)."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import msgpack

from . import msgpack_codec
from .codec_ids import JSON, MSGPACK, RAW, SCHEMA, V8, plain_readers
from .errors import QueueError, SerializationError, UnknownSchemaError, describe
from .keys import check_keys

#: What bytes that are no item raise. Not whatever is raised meanwhile: a handler of signals may raise anything, anywhere.
_WRONG_BYTES = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    LookupError,
    struct.error,
    msgpack.exceptions.UnpackException,
    QueueError,
)

Encode = Callable[[Any], tuple[bytes, int]]


def _is_bytes(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview)) and type(value).__module__ == "builtins"


def _raw(value: Any) -> tuple[Any, int]:
    """A view whose bytes do not lie side by side as a copy."""
    return (value if type(value) is not memoryview or value.c_contiguous else bytes(value)), RAW


def encode_auto(value: Any) -> tuple[Any, int]:
    """bytes, bytearray and memoryview as they are, all else as MessagePack."""
    return _raw(value) if _is_bytes(value) else (msgpack_codec.encode(value), MSGPACK)


def _encode_raw(value: Any) -> tuple[Any, int]:
    if _is_bytes(value):
        return _raw(value)
    raise SerializationError(f"The codec 'raw' takes bytes, found {describe(value)}. Use 'auto' for other items.")


def _encode_msgpack(value: Any) -> tuple[bytes, int]:
    return msgpack_codec.encode(value), MSGPACK


def _encode_json(value: Any) -> tuple[bytes, int]:
    check_keys(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(), JSON
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"The codec 'json': {error}. The queue is unchanged.") from error


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond what a number can hold")
    return number


_ENCODERS: dict[str, Encode] = {
    "auto": encode_auto,
    "raw": _encode_raw,
    "msgpack": _encode_msgpack,
    "json": _encode_json,
}


def encoder(name: str) -> Encode:
    found = _ENCODERS.get(name)
    if found is None:
        raise SerializationError(f"There is no codec {name!r} in Python; known are: {', '.join(_ENCODERS)}.")
    return found


def _decode_by_schema(data: bytes) -> Any:
    read = plain_readers.get(data[:4])
    found = None if read is None else read(data)
    if found is not None:
        return found
    from .schema import decode_item

    return decode_item(data)


def decode(data: bytes | memoryview, codec: int) -> Any:
    """@raise SerializationError carrying the `bytes` and the `codec_id`; UnknownSchemaError, with neither: the caller leaves the item to others"""
    try:
        if codec == MSGPACK:
            return msgpack_codec.decode(data)
        if codec == SCHEMA:
            return _decode_by_schema(data if type(data) is bytes else bytes(data))
        if codec == RAW:
            return bytes(data)
        if codec == JSON:
            return json.loads(bytes(data), parse_constant=_refuse, parse_float=_finite)
        raise ValueError("'v8' is Node's own" if codec == V8 else f"no codec with id {codec} is known here")
    except UnknownSchemaError:
        raise
    except _WRONG_BYTES as error:
        failure = SerializationError(
            f"The item ({len(data)} bytes, codec {codec}) cannot be decoded: {error}. "
            "It was removed from the queue; its bytes are in the `bytes` of this error."
        )
        failure.bytes, failure.codec_id = bytes(data), codec
        raise failure from error
