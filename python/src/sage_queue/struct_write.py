"""Values → bytes by a schema, one call for each field: it says where a value does not fit. Layout: docs/wire-format.md."""

from __future__ import annotations

import dataclasses
import datetime
import struct
from collections.abc import Callable, Mapping
from typing import Any

from . import msgpack_codec
from .codec_ids import MSGPACK, RAW
from .errors import describe
from .schema_node import MAX_SAFE, Node
from .values import JsDate

Write = Callable[[Any, bytearray], None]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Misfit(Exception):
    """`path` and what is expected there."""

    def __init__(self, expected: str, value: Any, path: str = "") -> None:
        self.path = path
        self.what = f"{expected} expected, found {describe(value)}"

    def inside(self, step: str) -> Misfit:
        self.path = step + (self.path if self.path.startswith("[") or not self.path else f".{self.path}")
        return self


INTEGERS = {
    "i8": ("<b", -(2**7), 2**7 - 1),
    "u8": ("<B", 0, 2**8 - 1),
    "i16": ("<h", -(2**15), 2**15 - 1),
    "u16": ("<H", 0, 2**16 - 1),
    "i32": ("<i", -(2**31), 2**31 - 1),
    "u32": ("<I", 0, 2**32 - 1),
    "i64": ("<q", -(2**63), 2**63 - 1),
    "u64": ("<Q", 0, 2**64 - 1),
    "int": ("<q", -MAX_SAFE, MAX_SAFE),
}
LENGTH = struct.Struct("<I")
TAG = struct.Struct("<II")


def _integer_writer(kind: str) -> Write:
    form, least, most = INTEGERS[kind]
    pack = struct.Struct(form).pack

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Misfit(kind, value)
        out += pack(value)

    return write


def _float_writer(kind: str) -> Write:
    pack = struct.Struct("<f" if kind == "f32" else "<d").pack

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise Misfit(kind, value)
        try:
            out += pack(value)
        except (OverflowError, struct.error):
            raise Misfit(kind, value) from None

    return write


def _write_bool(value: Any, out: bytearray) -> None:
    if not isinstance(value, bool):
        raise Misfit("bool", value)
    out.append(value)


def _write_string(value: Any, out: bytearray) -> None:
    if not isinstance(value, str):
        raise Misfit("string", value)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise Misfit("string", "one with a lone surrogate") from None
    out += LENGTH.pack(len(data))
    out += data


def _write_bytes(value: Any, out: bytearray) -> None:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise Misfit("bytes", value)
    data = bytes(value)
    out += LENGTH.pack(len(data))
    out += data


def _write_date(value: Any, out: bytearray) -> None:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        out += struct.pack("<d", (value - _EPOCH) // datetime.timedelta(milliseconds=1))
    elif isinstance(value, JsDate):
        out += struct.pack("<d", float("nan") if value.ms is None else value.ms)
    else:
        raise Misfit("date (a datetime with a time zone)", value)


def _write_any(value: Any, out: bytearray) -> None:
    raw = isinstance(value, (bytes, bytearray, memoryview))
    data = bytes(value) if raw else msgpack_codec.encode(value)
    out += LENGTH.pack(len(data))
    out.append(RAW if raw else MSGPACK)
    out += data


_WRITERS: dict[str, Write] = {
    **{kind: _integer_writer(kind) for kind in INTEGERS},
    "f32": _float_writer("f32"),
    "f64": _float_writer("f64"),
    "bool": _write_bool,
    "string": _write_string,
    "bytes": _write_bytes,
    "date": _write_date,
    "any": _write_any,
}


def writer(node: Node) -> Write:
    if node.of is not None:
        return _list_writer(writer(node.of))
    return _record_writer(node) if node.kind == "record" else _WRITERS[node.kind]


def _list_writer(write_element: Write) -> Write:
    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (list, tuple)):
            raise Misfit("list", value)
        out += LENGTH.pack(len(value))
        for index, element in enumerate(value):
            try:
                write_element(element, out)
            except Misfit as misfit:
                raise misfit.inside(f"[{index}]") from None

    return write


_MISSING: Any = object()


def _record_writer(node: Node) -> Write:
    required = [(field.name, writer(field.node)) for field in node.required]
    optional = [(field.name, field.tag, writer(field.node), field.node.kind == "any") for field in node.optional]
    names = {field.name for field in (*node.required, *node.optional)}

    def write(value: Any, out: bytearray) -> None:
        record = vars(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        if not isinstance(record, Mapping):
            raise Misfit("object", value)
        get = record.get
        for name, write_field in required:
            try:
                write_field(get(name), out)
            except Misfit as misfit:
                raise misfit.inside(name) from None
        count_at = len(out)
        out.append(0)
        for name, tag, write_field, takes_none in optional:
            entry = get(name, _MISSING)
            if entry is _MISSING or (entry is None and not takes_none):
                continue
            at = len(out)
            out += TAG.pack(tag, 0)
            try:
                write_field(entry, out)
            except Misfit as misfit:
                raise misfit.inside(name) from None
            LENGTH.pack_into(out, at + 4, len(out) - at - 8)
            out[count_at] += 1
        if len(record) > len(required):
            for key in record:
                if key not in names:
                    unknown = Misfit("", None, str(key))
                    unknown.what = "no such field is in the schema"
                    raise unknown

    return write
