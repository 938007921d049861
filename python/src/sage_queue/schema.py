"""Items with a schema: what writes and reads them, and how the schemas of a queue and of who opens it are brought together."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import _native
from .codec_ids import SCHEMA, plain_readers
from .errors import ConfigMismatchError, InvalidDescriptorError, SegmentError, SerializationError, UnknownSchemaError
from .schema_node import SCALARS, Node, difference, hash_of, merged, parse_schema, schema_of, text_of, write_text
from .struct_read import reader
from .struct_write import LENGTH, Misfit, writer

__all__ = ["StructCodec", "attach", "codec_of_schema", "decode_item", "parse_schema", "schema_of"]


#: A record of these and nothing else is packed and unpacked in one call.
_PLAIN = frozenset(SCALARS) - {"date", "any"}
_MOST_PLAIN_FIELDS = 64


def _plain_record(node: Node, number: int) -> _native.Record | None:
    fields = tuple((field.name, field.node.kind) for field in node.required)
    if node.kind != "record" or len(fields) > _MOST_PLAIN_FIELDS or not _PLAIN.issuperset(kind for _, kind in fields):
        return None
    return _native.Record(number, fields)


def _no_plain(_: Any) -> None:
    return None


class StructCodec:
    """Writes and reads the items of one schema."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.text = text_of(node)
        self.id = hash_of(write_text(node, False))
        self._prefix = LENGTH.pack(self.id)
        self._write = writer(node)
        self._read = reader(node)
        plain = _plain_record(node, self.id)
        #: The usual item at once, or None; most of the time of an item goes into its encoding.
        self.pack: Callable[[Any], bytes | None] = _no_plain if plain is None else plain.pack
        self.unpack: Callable[[bytes], Any] = _no_plain if plain is None else plain.unpack

    def encode(self, value: Any) -> tuple[bytes, int]:
        """@raise SerializationError with the path to what does not fit"""
        plain = self.pack(value)
        if plain is not None:
            return plain, SCHEMA
        out = bytearray(self._prefix)
        try:
            self._write(value, out)
        except Misfit as misfit:
            where = f"{misfit.path}: " if misfit.path else ""
            raise SerializationError(
                f"{where}{misfit.what}. The item does not fit the schema; the queue is unchanged."
            ) from None
        return bytes(out), SCHEMA

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
    known_reader = _readers.get(codec.id)
    reader = _readers[codec.id] = codec if known_reader is None else StructCodec(merged(known_reader.node, node))
    plain_readers[LENGTH.pack(codec.id)] = reader.unpack
    return codec


def decode_item(data: bytes) -> Any:
    """@raise ValueError that says what is wrong with the bytes; UnknownSchemaError"""
    if len(data) < 4:
        raise ValueError("an item with a schema begins with its id")
    number = LENGTH.unpack_from(data)[0]
    reader = _readers.get(number)
    if reader is None:
        raise UnknownSchemaError(
            f"The item cannot be decoded: its schema (id {number:08x}) is not known here: attach to its queue, or resolve it with the "
            "schema. It is still in the queue."
        )
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
        found = difference(one.node, codec.node, "")
        if found is not None:
            raise ConfigMismatchError(
                f"The queue '{queue_id}' exists with another schema than the descriptor asks for: {found}. "
                "A schema may gain optional fields; for anything else make another queue."
            )
    if codec not in known and handle.add_schema(codec.text.encode()) == 0:
        raise SegmentError(
            f"The queue '{queue_id}' has no room for another version of its schema: all of them together have 64 KiB.",
            "ERR_SEGMENT_NO_SPACE",
        )
    return codec.encode
