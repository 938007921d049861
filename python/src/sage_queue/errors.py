"""The closed set of errors, under the names and codes of the Node package. Test the class or the code, never the message."""

from __future__ import annotations

import queue
from typing import Any

_ShutDown: Any = getattr(queue, "ShutDown", None)


class QueueError(Exception):
    """The base of all. `code` is stable across versions and languages."""

    code: str = "ERR_QUEUE"
    #: put_many: how many items went in before the error.
    accepted: int | None = None
    #: 'unknown': the item of this put may be in the queue.
    outcome: str | None = None

    def __init__(self, message: str = "", code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.code), {"accepted": self.accepted, "outcome": self.outcome})


class QueueEmptyError(QueueError, queue.Empty):
    """There was no item, at once or within the timeout."""

    code = "ERR_QUEUE_EMPTY"


class QueueFullError(QueueError, queue.Full):
    """There was no room, at once or within the timeout."""

    code = "ERR_QUEUE_FULL"


class QueueShutDownError(QueueError, *((_ShutDown,) if _ShutDown is not None else ())):  # type: ignore[misc]
    """Nothing can be put, or nothing is left to get."""

    code = "ERR_QUEUE_SHUT_DOWN"


class QueueClosedError(QueueError):
    """This handle was closed; the queue itself may live on."""

    code = "ERR_QUEUE_CLOSED"


class QueueNotFoundError(QueueError):
    code = "ERR_QUEUE_NOT_FOUND"


class QueueExistsError(QueueError):
    code = "ERR_QUEUE_EXISTS"


class UnknownQueueTypeError(QueueError):
    code = "ERR_QUEUE_TYPE_UNKNOWN"


class InvalidDescriptorError(QueueError):
    code = "ERR_DESCRIPTOR_INVALID"


class SerializationError(QueueError):
    """The item cannot be encoded (the queue is unchanged), or these bytes cannot be decoded (`bytes`, `codec_id`)."""

    code = "ERR_ITEM_SERIALIZATION"
    bytes: bytes | None = None
    codec_id: int | None = None


class UnknownSchemaError(SerializationError):
    """Nobody here knows the schema of the item. Others may: it is still in the queue, and no bytes of it are here."""


class ItemTooLargeError(QueueError):
    code = "ERR_ITEM_TOO_LARGE"


class ConfigMismatchError(QueueError):
    code = "ERR_QUEUE_CONFIG_MISMATCH"


class QueueTimeoutError(QueueError, TimeoutError):
    """What join() waited for did not come in time."""

    code = "ERR_QUEUE_TIMEOUT"


class QueueProducerLostError(QueueError):
    """A producer ended before it closed its handle: what was read so far is not the whole."""

    code = "ERR_QUEUE_PRODUCER_LOST"


class RemoteError(QueueError):
    code = "ERR_REMOTE"


class SegmentError(QueueError, OSError):
    """Something is wrong with the shared-memory segment itself; ERR_SEGMENT_*."""

    code = "ERR_SEGMENT_CORRUPT"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class QueueConnectionError(QueueError, ConnectionError):
    code = "ERR_QUEUE_CONNECTION"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


_BY_CODE: dict[str, type[QueueError]] = {
    kind.code: kind
    for kind in (
        QueueEmptyError,
        QueueFullError,
        QueueShutDownError,
        QueueClosedError,
        QueueNotFoundError,
        QueueExistsError,
        SerializationError,
        ConfigMismatchError,
        ItemTooLargeError,
        QueueTimeoutError,
        QueueProducerLostError,
    )
}

_MESSAGES = {
    "ERR_QUEUE_EMPTY": "The queue is empty.",
    "ERR_QUEUE_FULL": "The queue has no room for the item (items or bytes).",
    "ERR_QUEUE_SHUT_DOWN": "The queue was shut down: it takes no more items, or nothing is left in it.",
    "ERR_QUEUE_CLOSED": "This handle on the queue was closed. Resolve the descriptor again for a new one.",
    "ERR_ITEM_TOO_LARGE": "The item can never fit into this queue. Make it with a larger capacity_bytes.",
    "ERR_QUEUE_TIMEOUT": "The queue was not finished in time.",
    "ERR_QUEUE_PRODUCER_LOST": "A producer of this queue ended before it closed its handle: what was read so far is not the whole.",
}


def error_of_code(code: str, message: str) -> QueueError | None:
    """None: no class has this code."""
    kind = _BY_CODE.get(code)
    return None if kind is None else kind(message, code)


def fail(code: str, message: str = "") -> None:
    """Raises the error of a code, as the native part finds it."""
    kind = _BY_CODE.get(code, SegmentError if code.startswith("ERR_SEGMENT_") else QueueError)
    raise kind(message or _MESSAGES.get(code, code), code)


def describe(value: object) -> str:
    """How a value is named in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
