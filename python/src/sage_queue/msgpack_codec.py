"""MessagePack with the extensions of the wire format: what Node writes arrives here, and goes back, as what it was."""

from __future__ import annotations

import datetime
import sys
import traceback
from array import array
from collections.abc import Mapping
from typing import Any

import msgpack

from ._native import text_keys
from .descriptor import QueueDescriptor
from .errors import SerializationError, describe
from .keys import check_each, check_keys
from .schema_node import MAX_SAFE
from .values import ArrayBuffer, BigInt, ClampedArray, DataView, JsDate, JsError, JsMap, JsSet, Undefined

MAX_DEPTH = 1000

UNDEFINED, MAP, SET, BIGINT, BINARY, DESCRIPTOR, ERROR, UTF16, INVALID_DATE = range(9)

_ARRAY_KINDS = {1: "b", 2: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "f", 9: "d", 10: "q", 11: "Q"}
_KIND_OF_ARRAY = {code: kind for kind, code in _ARRAY_KINDS.items()}
_KIND_OF_BYTES: dict[type, int] = {ArrayBuffer: 0, ClampedArray: 3, DataView: 12}
_BYTES_KINDS = {kind: type for type, kind in _KIND_OF_BYTES.items()}
#: What the buffers of other libraries (NumPy) call their elements.
_FORMATS = {"b": 1, "B": 2, "h": 4, "H": 5, "i": 6, "I": 7, "f": 8, "d": 9, "q": 10, "Q": 11, "l": 10, "L": 11}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


#: What a value that cannot be sent raises; not whatever a handler of signals may raise meanwhile.
_CANNOT = (TypeError, ValueError, BufferError, OverflowError, RecursionError, LookupError, AttributeError, SerializationError)

#: Those that nobody is using: one is not for two threads, nor for use within its own default().
_packers: list[msgpack.Packer] = []


def _pack(value: Any) -> bytes:
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(default=_default, strict_types=True)
    packed = packer.pack(value)
    _packers.append(packer)  # not after an error: it holds what was written before
    return packed  # type: ignore[no-any-return]


def encode(value: Any) -> bytes:
    """@raise SerializationError"""
    try:
        if not text_keys(value):
            check_each(value)
        return _pack(value)
    except UnicodeEncodeError:
        # A text with lone surrogates somewhere, which UTF-8 cannot hold.
        return _guarded(lambda: _pack(_with_surrogates(value)))
    except _CANNOT as error:
        raise _refusal(error) from error


def _guarded(pack: Any) -> bytes:
    try:
        return pack()  # type: ignore[no-any-return]
    except _CANNOT as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> SerializationError:
    if isinstance(error, SerializationError):
        return error
    deep = isinstance(error, RecursionError) or "recursion limit" in str(error)
    why = f"it is nested deeper than {MAX_DEPTH} levels, or contains itself" if deep else str(error)
    return SerializationError(f"The item cannot be encoded: {why}. The queue is unchanged.")


def _extension(kind: int, payload: bytes) -> msgpack.ExtType:
    return msgpack.ExtType(kind, payload)


def _default(value: Any) -> Any:
    """What MessagePack has no word for."""
    if isinstance(value, BigInt) or (isinstance(value, int) and not isinstance(value, bool)):
        if not isinstance(value, BigInt) and -(2**63) <= value < 2**64:
            return int(value)  # a subclass, as of an enumeration
        words = (int(value) if value >= 0 else ~int(value)).bit_length() // 64 + 1
        return _extension(BIGINT, int(value).to_bytes(words * 8, "big", signed=True))
    if isinstance(value, tuple):
        return list(value)
    if value is Undefined:
        return _extension(UNDEFINED, b"\0")
    kind = _KIND_OF_BYTES.get(type(value))
    if kind is not None:
        return _extension(BINARY, bytes([kind]) + bytes(value))
    if isinstance(value, (JsSet, set, frozenset)):
        return _extension(SET, _nested(list(value)))
    if isinstance(value, JsMap):
        return _extension(MAP, _nested([part for entry in value for part in entry]))
    if isinstance(value, (datetime.datetime, JsDate)):
        return _date(value)
    if isinstance(value, array):
        return _array(value)
    if isinstance(value, QueueDescriptor):
        return _extension(DESCRIPTOR, value.to_json().encode())
    if isinstance(value, BaseException):
        return _extension(ERROR, _nested(_error_fields(value)))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if isinstance(value, list):
        return list(value)
    if isinstance(value, Mapping):
        entries = dict(value)
        check_keys(entries)
        return entries
    return _from_buffer(value)


def _nested(value: Any) -> bytes:
    check_keys(value)
    return _pack(value)


def _date(value: datetime.datetime | JsDate) -> Any:
    if isinstance(value, JsDate):
        if value.ms is None:
            return _extension(INVALID_DATE, b"")
        return msgpack.Timestamp(value.ms // 1000, value.ms % 1000 * 1_000_000)
    if value.tzinfo is None:
        raise TypeError("a datetime without a time zone means another moment on each machine; give it one")
    moment = value - _EPOCH
    return msgpack.Timestamp(moment.days * 86400 + moment.seconds, moment.microseconds * 1000)


def _array(value: array[Any]) -> Any:
    kind = _KIND_OF_ARRAY.get(value.typecode) or _FORMATS.get(value.typecode)
    if kind is None or value.itemsize != array(_ARRAY_KINDS[kind]).itemsize:
        raise TypeError(f"an array of {value.typecode!r} has no counterpart in JavaScript")
    if sys.byteorder == "big":
        value = value[:]
        value.byteswap()
    return _extension(BINARY, bytes([kind]) + value.tobytes())


def _from_buffer(value: Any) -> Any:
    """NumPy arrays and what else has a buffer of one dimension."""
    item = getattr(value, "item", None)
    if getattr(value, "ndim", None) == 0 and callable(item):  # a scalar of NumPy
        return item()
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{describe(value)} is nothing that other processes could read; send its parts") from None
    with view:
        kind = _FORMATS.get(view.format.lstrip("<=@") if sys.byteorder == "little" else view.format)
        if view.ndim != 1 or kind is None:
            raise TypeError(
                f"an array of {view.ndim} dimensions and format {view.format!r} has no counterpart in JavaScript; "
                "send array.ravel() and its shape"
            )
        return _extension(BINARY, bytes([kind]) + view.tobytes())


def _error_fields(error: BaseException) -> dict[str, Any]:
    if isinstance(error, JsError):
        own = {**error.fields, "name": error.name, "message": error.message}
        return own if error.stack is None else {**own, "stack": error.stack}
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    fields: dict[str, Any] = {"name": type(error).__name__, "message": str(error), "stack": stack}
    if error.__cause__ is not None:
        fields["cause"] = error.__cause__
    return fields


def _with_surrogates(value: Any) -> Any:
    """A copy in which texts that UTF-8 cannot hold are extensions."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return _extension(UTF16, value.encode("utf-16-le", "surrogatepass"))
        return value
    if isinstance(value, Mapping):
        return {_with_surrogates(key): _with_surrogates(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_surrogates(entry) for entry in value]
    if isinstance(value, (JsSet, set, frozenset)):
        return JsSet(_with_surrogates(entry) for entry in value)
    if isinstance(value, JsMap):
        return JsMap((_with_surrogates(key), _with_surrogates(entry)) for key, entry in value)
    return value


def decode(data: bytes | memoryview) -> Any:
    """@raise ValueError and others that say what is wrong with the bytes"""
    try:
        return msgpack.unpackb(data, ext_hook=_hook, strict_map_key=False, timestamp=3)
    except OverflowError:
        # A moment that datetime does not hold.
        return _with_dates(msgpack.unpackb(data, ext_hook=_hook, strict_map_key=False))


def _hook(kind: int, payload: bytes) -> Any:
    if kind == UNDEFINED:
        if payload != b"\0":
            raise ValueError("undefined is not one zero byte")
        return Undefined
    if kind == MAP:
        flat = _list(payload)
        if len(flat) % 2 != 0:
            raise ValueError("a Map has a key without a value")
        _refuse_twice(flat[::2], "a Map has a key twice")
        return JsMap(zip(flat[::2], flat[1::2], strict=True))
    if kind == SET:
        return _set(_list(payload))
    if kind == BIGINT:
        if len(payload) == 0:
            raise ValueError("a BigInt has no bytes")
        return BigInt.from_bytes(payload, "big", signed=True)
    if kind == BINARY:
        return _typed(payload)
    if kind == DESCRIPTOR:
        return QueueDescriptor.from_json(payload)
    if kind == ERROR:
        fields = decode(payload)
        if not isinstance(fields, dict):
            raise ValueError("an Error is no map")
        name, message, stack = fields.pop("name", "Error"), fields.pop("message", ""), fields.pop("stack", None)
        return JsError(str(name), str(message), None if stack is None else str(stack), fields)
    if kind == UTF16:
        return payload.decode("utf-16-le", "surrogatepass")
    if kind == INVALID_DATE:
        if payload:
            raise ValueError("an invalid Date has bytes")
        return JsDate(None)
    raise ValueError(f"extension {kind} is not one this version knows")


def _list(payload: bytes) -> list[Any]:
    value = decode(payload)
    if not isinstance(value, list):
        raise ValueError("an extension that holds an array holds something else")
    return value


#: What JavaScript compares by value: integers and floats are one kind there, and BigInt another.
_COMPARED = frozenset((str, bool, int, float, BigInt, type(None), type(Undefined)))


def _identity(value: Any) -> tuple[type, Any]:
    """Equal where JavaScript holds the values to be the same: integers and floats are one kind there, and what it has as BigInt another."""
    kind = type(value)
    if kind is int:
        return (float if abs(value) <= MAX_SAFE else BigInt, value)
    return (kind, value if value == value else "NaN")


def _refuse_twice(values: list[Any], why: str) -> None:
    found = [_identity(value) for value in values if type(value) in _COMPARED]
    if len(set(found)) != len(found):
        raise ValueError(why)


def _set(elements: list[Any]) -> set[Any] | JsSet:
    """A `set` where Python sees the same elements as JavaScript does: 1 and True, or 1 and 1n, are one here."""
    _refuse_twice(elements, "a Set has an entry twice")
    try:
        found = set(elements)
    except TypeError:
        return JsSet(elements)
    return found if len(found) == len(elements) else JsSet(elements)


def _typed(payload: bytes) -> Any:
    kind = payload[0] if payload else -1
    wrapper = _BYTES_KINDS.get(kind)
    if wrapper is not None:
        return wrapper(payload[1:])
    code = _ARRAY_KINDS.get(kind)
    if code is None:
        raise ValueError("a typed array is of no kind that this version knows")
    found = array(code)
    found.frombytes(payload[1:])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _moment(stamp: msgpack.Timestamp) -> datetime.datetime | JsDate:
    ms = stamp.seconds * 1000 + stamp.nanoseconds // 1_000_000
    try:
        return _EPOCH + datetime.timedelta(milliseconds=ms)
    except OverflowError:
        if abs(ms) > 8.64e15:
            raise ValueError("a timestamp is beyond what a Date can hold") from None
        return JsDate(ms)


def _with_dates(value: Any) -> Any:
    """With moments for timestamps, in place: msgpack makes those before ext_hook sees them."""
    kind = type(value)
    if kind is msgpack.Timestamp:
        return _moment(value)
    if kind is dict:
        for key, entry in value.items():
            if type(entry) in _HOLDERS:
                value[key] = _with_dates(entry)
    elif kind is list:
        for index, entry in enumerate(value):
            if type(entry) in _HOLDERS:
                value[index] = _with_dates(entry)
    return value


_HOLDERS = frozenset((msgpack.Timestamp, dict, list))
