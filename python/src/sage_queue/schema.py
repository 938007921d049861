"""Items with a schema: how a schema is read, named and compared, and how items become bytes by it. Layout: docs/wire-format.md."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import struct
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from . import msgpack_codec
from .errors import ConfigMismatchError, InvalidDescriptorError, SegmentError, SerializationError
from .metadata import describe
from .values import JsDate

SCALARS = ("bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "int", "f32", "f64", "string", "bytes", "date", "any")
MOST_BYTES = 64 * 1024 - 8
MOST_LEVELS = 64
MOST_OPTIONAL = 255
_MAX_SAFE = 2**53 - 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_RAW, _MSGPACK = 1, 2


class Field(NamedTuple):
    name: str
    node: Node
    tag: int  # of an optional one: what it is found by


class Node(NamedTuple):
    """A scalar by its name; a list of `of`; or a record, its fields by name in UTF-8 order."""

    kind: str
    of: Node | None = None
    required: tuple[Field, ...] = ()
    optional: tuple[Field, ...] = ()


def schema_of(kind: Any) -> Any:
    """The schema of a dataclass or TypedDict. `Annotated[int, 'u32']` says which integer; `X | None` and NotRequired may be left out."""
    if not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
        raise InvalidDescriptorError(f"schema: a dataclass, a TypedDict or the data of a schema expected, found {describe(kind)}.")
    fields = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        schema, optional = _schema_of_hint(hint)
        fields[f"{name}?" if optional else name] = schema
    return fields


_OF_TYPE: dict[Any, str] = {
    bool: "bool",
    int: "int",
    float: "f64",
    str: "string",
    bytes: "bytes",
    datetime.datetime: "date",
    Any: "any",
    dict: "any",
}


def _schema_of_hint(hint: Any) -> tuple[Any, bool]:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.NotRequired, typing.Required):
        return _schema_of_hint(arguments[0])[0], origin is typing.NotRequired
    if origin is typing.Annotated:
        names = [one for one in arguments[1:] if isinstance(one, str) and one in SCALARS]
        schema, optional = _schema_of_hint(arguments[0])
        return (names[0] if names else schema), optional
    if origin in (typing.Union, types.UnionType):
        others = [one for one in arguments if one is not type(None)]
        if len(others) == 1 and len(arguments) == 2:
            return _schema_of_hint(others[0])[0], True
    if origin is list:
        return [_schema_of_hint(arguments[0])[0]], False
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or typing.is_typeddict(hint)):
        return schema_of(hint), False
    found = _OF_TYPE.get(hint if origin is None else origin)
    if found is None:
        raise InvalidDescriptorError(f"schema: there is none for {hint!r}; say which by Annotated[…, 'any'].")
    return found, False


# ── reading schemas ──────────────────────────────────────────────────────────


def parse_schema(schema: Any) -> Node:
    """@raise InvalidDescriptorError that says where it is none"""
    node = _parse(schema, "schema", 0)
    size = len(text_of(node).encode())
    if size > MOST_BYTES:
        raise _invalid("schema", f"at most {MOST_BYTES} bytes of JSON", str(size))
    return node


def _invalid(path: str, expected: str, found: str) -> InvalidDescriptorError:
    return InvalidDescriptorError(f"{path}: {expected} expected, found {found}.")


def _parse(schema: Any, path: str, level: int) -> Node:
    if level > MOST_LEVELS:
        raise _invalid(path, f"at most {MOST_LEVELS} levels", "more")
    if isinstance(schema, str) and schema in SCALARS:
        return Node(schema)
    if isinstance(schema, (list, tuple)):
        if len(schema) != 1:
            raise _invalid(path, "a list of one element, its schema,", str(len(schema)))
        return Node("list", _parse(schema[0], f"{path}[0]", level + 1))
    if isinstance(schema, Mapping):
        return _parse_record(schema, path, level)
    raise _invalid(path, f"one of {', '.join(SCALARS)}, [schema] or {{ field: schema }}", describe(schema))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse_record(schema: Mapping[str, Any], path: str, level: int) -> Node:
    names: set[str] = set()
    tags: set[int] = set()
    required: list[Field] = []
    optional: list[Field] = []
    for key, kind in schema.items():
        is_optional = key.endswith("?")
        name = key[:-1] if is_optional else key
        if name in ("", "__proto__") or name.endswith("?") or not _is_text(name):
            raise _invalid(path, "a name of a field", describe(key))
        if name in names:
            raise _invalid(path, "each field once", f"{describe(name)} twice")
        names.add(name)
        node = _parse(kind, f"{path}.{name}", level + 1)
        if not is_optional:
            required.append(Field(name, node, 0))
            continue
        tag = _hash(f"{name}\0{_write_text(node, False)}")
        if tag in tags:
            raise _invalid(path, "names that differ in their hash too", describe(name))
        tags.add(tag)
        optional.append(Field(name, node, tag))
    if not names:
        raise _invalid(path, "a field", "none")
    if len(optional) > MOST_OPTIONAL:
        raise _invalid(path, f"at most {MOST_OPTIONAL} optional fields", str(len(optional)))
    return Node("record", None, tuple(sorted(required, key=_by_name)), tuple(sorted(optional, key=_by_name)))


def _by_name(field: Field) -> bytes:
    return field.name.encode()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def text_of(node: Node) -> str:
    """The canonical text: JSON without spaces, fields by name in UTF-8 order."""
    return _write_text(node, True)


def _write_text(node: Node, whole: bool) -> str:
    """Without optional fields it is the skeleton, which every version of a schema has in common."""
    if node.of is not None:
        return f"[{_write_text(node.of, whole)}]"
    if node.kind != "record":
        return f'"{node.kind}"'
    marked = [(field, "") for field in node.required] + ([(field, "?") for field in node.optional] if whole else [])
    marked.sort(key=lambda entry: _by_name(entry[0]))
    texts = [
        f"{json.dumps(field.name + mark, ensure_ascii=False)}:{_write_text(field.node, whole)}" for field, mark in marked
    ]
    return "{" + ",".join(texts) + "}"


def _difference(existing: Node, asked: Node, path: str) -> str | None:
    if existing.kind != asked.kind:
        return f"{path or 'the item'} is {existing.kind}, asked for is {asked.kind}"
    if existing.of is not None and asked.of is not None:
        return _difference(existing.of, asked.of, f"{path}[]")
    theirs = {field.name: field for field in (*asked.required, *asked.optional)}
    for one, other, what in ((existing, asked, "asked for is a schema without it"), (asked, existing, "the queue's schema has none")):
        missing = {field.name for field in one.required} - {field.name for field in other.required}
        if missing:
            return f"{f'{path}.' if path else ''}{min(missing)} is required, and {what}"
    for field in (*existing.required, *existing.optional):
        match = theirs.get(field.name)
        found = _difference(field.node, match.node, f"{path}.{field.name}" if path else field.name) if match else None
        if found is not None:
            return found
    return None


def _merged(a: Node, b: Node) -> Node:
    """With the optional fields of both, which differ in nothing else."""
    if a.of is not None and b.of is not None:
        return Node("list", _merged(a.of, b.of))
    if a.kind != "record":
        return a
    of_b = {field.name: field for field in b.required}
    required = tuple(Field(one.name, _merged(one.node, of_b[one.name].node), 0) for one in a.required)
    optional = {one.tag: one for one in a.optional}
    for field in b.optional:
        known = optional.get(field.tag)
        optional[field.tag] = field if known is None else field._replace(node=_merged(known.node, field.node))
    return Node("record", None, required, tuple(sorted(optional.values(), key=_by_name)))


# ── writing items ────────────────────────────────────────────────────────────

_Write = Callable[[Any, bytearray], None]
_Read = Callable[[bytes, int, int], tuple[Any, int]]


class _Misfit(Exception):
    """`path` and what is expected there."""

    def __init__(self, expected: str, value: Any, path: str = "") -> None:
        self.path = path
        self.what = f"{expected} expected, found {describe(value)}"

    def inside(self, step: str) -> _Misfit:
        self.path = step + (self.path if self.path.startswith("[") or not self.path else f".{self.path}")
        return self


_INTEGERS = {
    "i8": ("<b", -(2**7), 2**7 - 1),
    "u8": ("<B", 0, 2**8 - 1),
    "i16": ("<h", -(2**15), 2**15 - 1),
    "u16": ("<H", 0, 2**16 - 1),
    "i32": ("<i", -(2**31), 2**31 - 1),
    "u32": ("<I", 0, 2**32 - 1),
    "i64": ("<q", -(2**63), 2**63 - 1),
    "u64": ("<Q", 0, 2**64 - 1),
    "int": ("<q", -_MAX_SAFE, _MAX_SAFE),
}
_LENGTH = struct.Struct("<I")
_TAG = struct.Struct("<II")


def _integer_writer(kind: str) -> _Write:
    form, least, most = _INTEGERS[kind]
    pack = struct.Struct(form).pack

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _Misfit(kind, value)
        out += pack(value)

    return write


def _float_writer(kind: str) -> _Write:
    pack = struct.Struct("<f" if kind == "f32" else "<d").pack

    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _Misfit(kind, value)
        try:
            out += pack(value)
        except (OverflowError, struct.error):
            raise _Misfit(kind, value) from None

    return write


def _write_bool(value: Any, out: bytearray) -> None:
    if not isinstance(value, bool):
        raise _Misfit("bool", value)
    out.append(value)


def _write_string(value: Any, out: bytearray) -> None:
    if not isinstance(value, str):
        raise _Misfit("string", value)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise _Misfit("string", "one with a lone surrogate") from None
    out += _LENGTH.pack(len(data))
    out += data


def _write_bytes(value: Any, out: bytearray) -> None:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise _Misfit("bytes", value)
    data = bytes(value)
    out += _LENGTH.pack(len(data))
    out += data


def _write_date(value: Any, out: bytearray) -> None:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        out += struct.pack("<d", (value - _EPOCH) // datetime.timedelta(milliseconds=1))
    elif isinstance(value, JsDate):
        out += struct.pack("<d", float("nan") if value.ms is None else value.ms)
    else:
        raise _Misfit("date (a datetime with a time zone)", value)


def _write_any(value: Any, out: bytearray) -> None:
    raw = isinstance(value, (bytes, bytearray, memoryview))
    data = bytes(value) if raw else msgpack_codec.encode(value)
    out += _LENGTH.pack(len(data))
    out.append(_RAW if raw else _MSGPACK)
    out += data


_WRITERS: dict[str, _Write] = {
    **{kind: _integer_writer(kind) for kind in _INTEGERS},
    "f32": _float_writer("f32"),
    "f64": _float_writer("f64"),
    "bool": _write_bool,
    "string": _write_string,
    "bytes": _write_bytes,
    "date": _write_date,
    "any": _write_any,
}


def _writer(node: Node) -> _Write:
    if node.of is not None:
        return _list_writer(_writer(node.of))
    return _record_writer(node) if node.kind == "record" else _WRITERS[node.kind]


def _list_writer(write_element: _Write) -> _Write:
    def write(value: Any, out: bytearray) -> None:
        if not isinstance(value, (list, tuple)):
            raise _Misfit("list", value)
        out += _LENGTH.pack(len(value))
        for index, element in enumerate(value):
            try:
                write_element(element, out)
            except _Misfit as misfit:
                raise misfit.inside(f"[{index}]") from None

    return write


_MISSING: Any = object()


def _record_writer(node: Node) -> _Write:
    required = [(field.name, _writer(field.node)) for field in node.required]
    optional = [(field.name, field.tag, _writer(field.node), field.node.kind == "any") for field in node.optional]
    names = {field.name for field in (*node.required, *node.optional)}

    def write(value: Any, out: bytearray) -> None:
        record = vars(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        if not isinstance(record, Mapping):
            raise _Misfit("object", value)
        get = record.get
        for name, write_field in required:
            try:
                write_field(get(name), out)
            except _Misfit as misfit:
                raise misfit.inside(name) from None
        count_at = len(out)
        out.append(0)
        for name, tag, write_field, takes_none in optional:
            entry = get(name, _MISSING)
            if entry is _MISSING or (entry is None and not takes_none):
                continue
            at = len(out)
            out += _TAG.pack(tag, 0)
            try:
                write_field(entry, out)
            except _Misfit as misfit:
                raise misfit.inside(name) from None
            _LENGTH.pack_into(out, at + 4, len(out) - at - 8)
            out[count_at] += 1
        if len(record) > len(required):
            for key in record:
                if key not in names:
                    unknown = _Misfit("", None, str(key))
                    unknown.what = "no such field is in the schema"
                    raise unknown

    return write


# ── reading items ────────────────────────────────────────────────────────────


def _take(at: int, length: int, end: int) -> int:
    if length > end - at:
        raise ValueError("the bytes end in the middle of a value")
    return at + length


def _scalar_reader(form: str) -> _Read:
    unpack = struct.Struct(form).unpack_from
    size = struct.calcsize(form)

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        next_at = _take(at, size, end)
        return unpack(data, at)[0], next_at

    return read


def _read_int(data: bytes, at: int, end: int) -> tuple[Any, int]:
    value, next_at = _READERS["i64"](data, at, end)
    if abs(value) > _MAX_SAFE:
        raise ValueError("an int is beyond what a number holds exactly")
    return value, next_at


def _read_bool(data: bytes, at: int, end: int) -> tuple[Any, int]:
    next_at = _take(at, 1, end)
    if data[at] > 1:
        raise ValueError(f"a bool is 0 or 1, found {data[at]}")
    return data[at] == 1, next_at


def _read_bytes(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    start = _take(at, 4, end)
    next_at = _take(start, _LENGTH.unpack_from(data, at)[0], end)
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
    next_at = _take(start, _LENGTH.unpack_from(data, at)[0], end)
    codec = data[at + 4]
    if codec == _RAW:
        return data[start:next_at], next_at
    if codec == _MSGPACK:
        return msgpack_codec.decode(data[start:next_at]), next_at
    raise ValueError(f"a field of any kind has the codec {codec}, which is none for it")


_READERS: dict[str, _Read] = {
    **{kind: _scalar_reader(form) for kind, (form, _, _) in _INTEGERS.items()},
    "int": _read_int,
    "f32": _scalar_reader("<f"),
    "f64": _scalar_reader("<d"),
    "bool": _read_bool,
    "string": _read_string,
    "bytes": _read_bytes,
    "date": _read_date,
    "any": _read_any,
}


def _reader(node: Node) -> _Read:
    if node.of is not None:
        return _list_reader(_reader(node.of))
    return _record_reader(node) if node.kind == "record" else _READERS[node.kind]


def _list_reader(read_element: _Read) -> _Read:
    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        next_at = _take(at, 4, end)
        count = _LENGTH.unpack_from(data, at)[0]
        if count > end - next_at:  # each takes a byte at least
            raise ValueError("the bytes end in the middle of a value")
        found = []
        for _ in range(count):
            element, next_at = read_element(data, next_at, end)
            found.append(element)
        return found, next_at

    return read


def _record_reader(node: Node) -> _Read:
    required = [(field.name, _reader(field.node)) for field in node.required]
    optional = {field.tag: (field.name, _reader(field.node)) for field in node.optional}

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        found: dict[str, Any] = {}
        for name, read_field in required:
            found[name], at = read_field(data, at, end)
        next_at = _take(at, 1, end)
        for _ in range(data[at]):
            start = _take(next_at, 8, end)
            tag, length = _TAG.unpack_from(data, next_at)
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


class StructCodec:
    """Writes and reads the items of one schema."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.text = text_of(node)
        self.id = _hash(_write_text(node, False))
        self._prefix = _LENGTH.pack(self.id)
        self._write = _writer(node)
        self._read = _reader(node)

    def encode(self, value: Any) -> tuple[bytes, int]:
        """@raise SerializationError with the path to what does not fit"""
        out = bytearray(self._prefix)
        try:
            self._write(value, out)
        except _Misfit as misfit:
            where = f"{misfit.path}: " if misfit.path else ""
            raise SerializationError(
                f"{where}{misfit.what}. The item does not fit the schema; the queue is unchanged."
            ) from None
        return bytes(out), 5

    def check(self, value: Any) -> None:
        self.encode(value)

    def decode(self, data: bytes) -> Any:
        value, at = self._read(data, 4, len(data))
        if at != len(data):
            raise ValueError(f"the value ends {len(data) - at} bytes before the item")
        return value


_by_text: dict[str, StructCodec] = {}
#: By the id that all versions of a schema share: what reads them all.
_readers: dict[int, StructCodec] = {}


def codec_of_schema(schema: Any) -> StructCodec:
    """From then on its items can be read in this process. @raise InvalidDescriptorError"""
    node = parse_schema(schema)
    text = text_of(node)
    known = _by_text.get(text)
    if known is not None:
        return known
    codec = _by_text[text] = StructCodec(node)
    reader = _readers.get(codec.id)
    _readers[codec.id] = codec if reader is None else StructCodec(_merged(reader.node, node))
    return codec


def decode_item(data: bytes) -> Any:
    """@raise ValueError that says what is wrong with the bytes, or that nobody here knows their schema"""
    if len(data) < 4:
        raise ValueError("an item with a schema begins with its id")
    number = _LENGTH.unpack_from(data)[0]
    reader = _readers.get(number)
    if reader is None:
        raise ValueError(f"its schema (id {number:08x}) is not known here: attach to its queue, or resolve it with the schema")
    return reader.decode(data)


def attach(handle: Any, stored: list[bytes], asked: Any, queue_id: str) -> Callable[[Any], tuple[bytes, int]]:
    """How items of the queue become bytes. A schema with more optional fields than those that it knows is added to them.
    @raise ConfigMismatchError, SegmentError"""
    try:
        known = [codec_of_schema(json.loads(text)) for text in stored]
    except (ValueError, InvalidDescriptorError) as error:
        raise SegmentError(
            "What lies in the segment as the schema of its items is none.", "ERR_SEGMENT_CORRUPT"
        ) from error
    if asked is None:
        return _readers[known[0].id].encode
    codec = codec_of_schema(asked)
    if not known:
        raise ConfigMismatchError(
            f"The queue '{queue_id}' exists without a schema, and the descriptor asks for one. Make another queue, or leave it out."
        )
    for one in known:
        difference = _difference(one.node, codec.node, "")
        if difference is not None:
            raise ConfigMismatchError(
                f"The queue '{queue_id}' exists with another schema than the descriptor asks for: {difference}. "
                "A schema may gain optional fields; for anything else make another queue."
            )
    if codec not in known and handle.add_schema(codec.text.encode()) == 0:
        raise SegmentError(
            f"The queue '{queue_id}' has no room for another version of its schema: all of them together have 64 KiB.",
            "ERR_SEGMENT_NO_SPACE",
        )
    return codec.encode
