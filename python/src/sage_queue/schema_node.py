"""Schemas: how one is read, from data or from a type, how it is named, and what two of them have in common."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import InvalidDescriptorError, describe

SCALARS = ("bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "int", "f32", "f64", "string", "bytes", "date", "any")
MOST_BYTES = 64 * 1024 - 8
MOST_LEVELS = 64
MOST_OPTIONAL = 255
MAX_SAFE = 2**53 - 1


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
        tag = hash_of(f"{name}\0{write_text(node, False)}")
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


def hash_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def text_of(node: Node) -> str:
    """The canonical text: JSON without spaces, fields by name in UTF-8 order."""
    return write_text(node, True)


def write_text(node: Node, whole: bool) -> str:
    """Without optional fields it is the skeleton, which every version of a schema has in common."""
    if node.of is not None:
        return f"[{write_text(node.of, whole)}]"
    if node.kind != "record":
        return f'"{node.kind}"'
    marked = [(field, "") for field in node.required] + ([(field, "?") for field in node.optional] if whole else [])
    marked.sort(key=lambda entry: _by_name(entry[0]))
    texts = [
        f"{json.dumps(field.name + mark, ensure_ascii=False)}:{write_text(field.node, whole)}" for field, mark in marked
    ]
    return "{" + ",".join(texts) + "}"


def difference(existing: Node, asked: Node, path: str) -> str | None:
    if existing.kind != asked.kind:
        return f"{path or 'the item'} is {existing.kind}, asked for is {asked.kind}"
    if existing.of is not None and asked.of is not None:
        return difference(existing.of, asked.of, f"{path}[]")
    theirs = {field.name: field for field in (*asked.required, *asked.optional)}
    for one, other, what in ((existing, asked, "asked for is a schema without it"), (asked, existing, "the queue's schema has none")):
        missing = {field.name for field in one.required} - {field.name for field in other.required}
        if missing:
            return f"{f'{path}.' if path else ''}{min(missing)} is required, and {what}"
    for field in (*existing.required, *existing.optional):
        match = theirs.get(field.name)
        found = difference(field.node, match.node, f"{path}.{field.name}" if path else field.name) if match else None
        if found is not None:
            return found
    return None


def merged(a: Node, b: Node) -> Node:
    """With the optional fields of both, which differ in nothing else."""
    if a.of is not None and b.of is not None:
        return Node("list", merged(a.of, b.of))
    if a.kind != "record":
        return a
    of_b = {field.name: field for field in b.required}
    required = tuple(Field(one.name, merged(one.node, of_b[one.name].node), 0) for one in a.required)
    optional = {one.tag: one for one in a.optional}
    for field in b.optional:
        known = optional.get(field.tag)
        optional[field.tag] = field if known is None else field._replace(node=merged(known.node, field.node))
    return Node("record", None, required, tuple(sorted(optional.values(), key=_by_name)))
