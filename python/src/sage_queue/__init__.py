"""One descriptor, one queue protocol, every way for processes to talk: the queues of the Node package of the same name, in Python."""

from . import values
from .descriptor import QueueDescriptor
from .errors import (
    ConfigMismatchError,
    InvalidDescriptorError,
    ItemTooLargeError,
    QueueClosedError,
    QueueConnectionError,
    QueueEmptyError,
    QueueError,
    QueueExistsError,
    QueueFullError,
    QueueNotFoundError,
    QueueProducerLostError,
    QueueShutDownError,
    QueueTimeoutError,
    RemoteError,
    SegmentError,
    SerializationError,
    UnknownQueueTypeError,
)
from .queue import Lease, LeaseBatch, Queue, QueueLike
from .registry import (
    attach_to_shm_queue,
    get_local_queue,
    get_registered_queue_types,
    get_sage_queue,
    register_queue_implementation,
    resolve_descriptor,
    unregister_queue_implementation,
)
from .shared import Claim, LeasedBytes, SharedQueue, close_all

__version__ = "0.1.0"
__all__ = [
    "Claim",
    "ConfigMismatchError",
    "InvalidDescriptorError",
    "ItemTooLargeError",
    "Lease",
    "LeaseBatch",
    "LeasedBytes",
    "Queue",
    "QueueClosedError",
    "QueueConnectionError",
    "QueueDescriptor",
    "QueueEmptyError",
    "QueueError",
    "QueueExistsError",
    "QueueFullError",
    "QueueLike",
    "QueueNotFoundError",
    "QueueProducerLostError",
    "QueueShutDownError",
    "QueueTimeoutError",
    "RemoteError",
    "SegmentError",
    "SerializationError",
    "SharedQueue",
    "UnknownQueueTypeError",
    "attach_to_shm_queue",
    "close_all",
    "get_local_queue",
    "get_registered_queue_types",
    "get_sage_queue",
    "register_queue_implementation",
    "resolve_descriptor",
    "unregister_queue_implementation",
    "values",
]
