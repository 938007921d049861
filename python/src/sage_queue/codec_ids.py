"""The ids of the codecs, which are frozen (docs/wire-format.md), and what reads items by their schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RAW, MSGPACK, JSON, V8, SCHEMA = 1, 2, 3, 4, 5

#: By the first four bytes of an item with a schema: what reads it where it is as usual, and is None where it is not. schema.py fills it, so that
#: codec.py need not load that before there is such an item.
plain_readers: dict[bytes, Callable[[bytes], Any]] = {}
