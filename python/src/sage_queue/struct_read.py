"""Bytes → values by a schema, one call for each field: it says what is wrong with the bytes. Layout: docs/wire-format.md."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from typing import Any

from . import msgpack_codec
from .codec_ids import MSGPACK, RAW
from .schema_node import MAX_SAFE, Node
from .struct_write import INTEGERS, LENGTH, TAG
from .values import JsDate

Read = Callable[[bytes, int, int], tuple[Any, int]]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def _take(at: int, length: int, end: int) -> int:
    if length > end - at:
        raise ValueError("the bytes end in the middle of a value")
    return at + length


def _scalar_reader(form: str) -> Read:
    unpack = struct.Struct(form).unpack_from
    size = struct.calcsize(form)

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        next_at = _take(at, size, end)
        return unpack(data, at)[0], next_at

    return read


def _read_int(data: bytes, at: int, end: int) -> tuple[Any, int]:
    value, next_at = _READERS["i64"](data, at, end)
    if abs(value) > MAX_SAFE:
        raise ValueError("an int is beyond what a number holds exactly")
    return value, next_at


def _read_bool(data: bytes, at: int, end: int) -> tuple[Any, int]:
    next_at = _take(at, 1, end)
    if data[at] > 1:
        raise ValueError(f"a bool is 0 or 1, found {data[at]}")
    return data[at] == 1, next_at


def _read_bytes(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    start = _take(at, 4, end)
    next_at = _take(start, LENGTH.unpack_from(data, at)[0], end)
    return data[start:next_at], next_at


def _read_string(data: bytes, at: int, end: int) -> tuple[Any, int]:
    found, next_at = _read_bytes(data, at, end)
    return found.decode(), next_at


def _read_date(data: bytes, at: int, end: int) -> tuple[Any, int]:
    ms, next_at = _READERS["f64"](data, at, end)
    if ms != ms:
        return JsDate(None), next_at
    if abs(ms) > 8.64e15 or ms != int(ms):
        raise ValueError(f"a date is {ms} ms, which no Date holds")
    try:
        return _EPOCH + datetime.timedelta(milliseconds=ms), next_at
    except OverflowError:
        return JsDate(int(ms)), next_at


def _read_any(data: bytes, at: int, end: int) -> tuple[Any, int]:
    start = _take(at, 5, end)
    next_at = _take(start, LENGTH.unpack_from(data, at)[0], end)
    codec = data[at + 4]
    if codec == RAW:
        return data[start:next_at], next_at
    if codec == MSGPACK:
        return msgpack_codec.decode(data[start:next_at]), next_at
    raise ValueError(f"a field of any kind has the codec {codec}, which is none for it")


_READERS: dict[str, Read] = {
    **{kind: _scalar_reader(form) for kind, (form, _, _) in INTEGERS.items()},
    "int": _read_int,
    "f32": _scalar_reader("<f"),
    "f64": _scalar_reader("<d"),
    "bool": _read_bool,
    "string": _read_string,
    "bytes": _read_bytes,
    "date": _read_date,
    "any": _read_any,
}


def reader(node: Node) -> Read:
    if node.of is not None:
        return _list_reader(reader(node.of))
    return _record_reader(node) if node.kind == "record" else _READERS[node.kind]


def _list_reader(read_element: Read) -> Read:
    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        next_at = _take(at, 4, end)
        count = LENGTH.unpack_from(data, at)[0]
        if count > end - next_at:  # each takes a byte at least
            raise ValueError("the bytes end in the middle of a value")
        found = []
        for _ in range(count):
            element, next_at = read_element(data, next_at, end)
            found.append(element)
        return found, next_at

    return read


def _record_reader(node: Node) -> Read:
    required = [(field.name, reader(field.node)) for field in node.required]
    optional = {field.tag: (field.name, reader(field.node)) for field in node.optional}

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        found: dict[str, Any] = {}
        for name, read_field in required:
            found[name], at = read_field(data, at, end)
        next_at = _take(at, 1, end)
        for _ in range(data[at]):
            start = _take(next_at, 8, end)
            tag, length = TAG.unpack_from(data, next_at)
            next_at = _take(start, length, end)
            field = optional.get(tag)
            if field is None:  # of a later schema
                continue
            if field[0] in found:
                raise ValueError("an optional field comes twice")
            found[field[0]], behind = field[1](data, start, next_at)
            if behind != next_at:
                raise ValueError("an optional field is longer than the value in it")
        return found, next_at

    return read
