"""What may be a key of a dict: what every language reads as the key of an object, where keys are texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack

from ._native import text_keys
from .errors import SerializationError, describe


def check_keys(value: Any) -> None:
    """@raise SerializationError"""
    if not text_keys(value):
        check_each(value)


def check_each(value: Any) -> None:
    """As check_keys() where some key is no text."""
    left, seen = [value], {id(value)}
    while left:
        holder = left.pop()
        if isinstance(holder, Mapping):
            _check_dict(holder)
        for entry in holder.values() if isinstance(holder, Mapping) else holder:
            if isinstance(entry, (Mapping, list, tuple)) and id(entry) not in seen:
                seen.add(id(entry))
                left.append(entry)


def _check_dict(holder: Mapping[Any, Any]) -> None:
    texts: dict[Any, Any] = {}
    for key in holder:
        text = _text_of(key)
        if text in texts:
            raise SerializationError(
                f"The item cannot be encoded: the keys {describe(texts[text])} and {describe(key)} of a dict are the same text to other "
                "languages; values.JsMap keeps both. The queue is unchanged."
            )
        texts[text] = key


def _text_of(key: Any) -> Any:
    if isinstance(key, (str, msgpack.ExtType)):  # an extension is a text with lone surrogates
        return key
    if key is None or isinstance(key, bool):
        return "null" if key is None else str(key).lower()
    if isinstance(key, (int, float)):
        return str(int(key) if isinstance(key, float) and key.is_integer() else key)
    scalar = getattr(key, "item", None)
    if getattr(key, "ndim", None) == 0 and callable(scalar):  # of NumPy
        return _text_of(scalar())
    raise SerializationError(
        f"The item cannot be encoded: {describe(key)} is a key of a dict, and keys are texts or numbers, true, false or None; values.JsMap "
        "takes any. The queue is unchanged."
    )
