"""Small types for what only JavaScript tells apart, so that a value keeps its kind on the way through Python.

`int`, `dict`, `list`, `str`, `bytes`, `float`, `bool`, `None`, aware `datetime`, `set`, `tuple` (as a list), `array.array` and NumPy
arrays go without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final


class _Undefined:
    """JavaScript's undefined. There is one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Undefined"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "Undefined"


Undefined: Final = _Undefined()


class BigInt(int):
    """An integer that is a BigInt in JavaScript, however small it is. Arithmetic gives plain integers."""

    def __repr__(self) -> str:
        return f"BigInt({int(self)})"


class JsMap:
    """A Map: keys of any kind, each once, in their order."""

    __slots__ = ("entries",)

    def __init__(self, entries: Iterable[tuple[Any, Any]] = ()) -> None:
        self.entries = [(key, value) for key, value in entries]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsMap) and self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"JsMap({self.entries!r})"


class JsSet:
    """A Set whose order matters, or whose elements Python cannot hash; other Sets are `set`."""

    __slots__ = ("elements",)

    def __init__(self, elements: Iterable[Any] = ()) -> None:
        self.elements = list(elements)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsSet) and self.elements == other.elements

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"JsSet({self.elements!r})"


class JsDate:
    """A Date that `datetime` does not hold: invalid (`ms` is None), or of a year before 1 or after 9999."""

    __slots__ = ("ms",)

    def __init__(self, ms: int | None) -> None:
        self.ms = ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsDate) and self.ms == other.ms

    def __hash__(self) -> int:
        return hash(self.ms)

    def __repr__(self) -> str:
        return f"JsDate({self.ms!r})"


class _Kind(bytes):
    def __repr__(self) -> str:
        return f"{type(self).__name__}({bytes(self)!r})"


class ArrayBuffer(_Kind):
    """The bytes of an ArrayBuffer; a Buffer is `bytes`, a Uint8Array `array.array('B')`."""


class ClampedArray(_Kind):
    """The bytes of a Uint8ClampedArray."""


class DataView(_Kind):
    """The bytes of a DataView."""


class JsError(Exception):
    """An Error: `name`, `message`, `stack` and its own properties. Exceptions that are put arrive as one."""

    def __init__(self, name: str, message: str, stack: str | None = None, fields: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.stack = stack
        self.fields = {} if fields is None else fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsError) and vars(self) == vars(other)

    __hash__ = Exception.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return (JsError, (self.name, self.message, self.stack, self.fields))
