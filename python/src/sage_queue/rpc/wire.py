"""What both sides agree on, and gRPC itself, which is an extra: sage-queue[rpc]."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from ..codec_ids import RAW
from ..errors import QueueConnectionError

PROTOCOL_VERSION = 1
METHOD = "/sagequeue.v1.QueueService/Attach"
#: Batches are cut at this size, so that one big transfer does not hold up the rest of a connection.
BATCH_BYTES = 256 * 1024
BATCH_ITEMS = 4096
#: Trailing metadata of a stream that was refused: the error code of the package.
CODE_HEADER = "sage-queue-code"
#: The failure of a join at a queue that does not know what others hold.
CANNOT_KNOW = "CANNOT_KNOW"
#: Codes that only travel in CODE_HEADER: try again later.
TRY_AGAIN = ("STOPPING", "BUSY")
#: The most that one get asks for, and the longest wait in milliseconds.
MOST_ASKED = 2**32 - 1
LONGEST_MS = 2**31 - 1

#: An item as bytes, and its codec.
Encoded = tuple[bytes, int]


def load() -> tuple[Any, Any]:
    """grpc, and the messages. @raise QueueConnectionError naming the command that installs them"""
    try:
        import grpc  # type: ignore[import-untyped, unused-ignore]

        from . import messages
    except ImportError as error:
        raise QueueConnectionError(
            f"Queues of type 'rpc' need grpcio and protobuf: {error}. Type: pip install 'sage-queue[rpc]'"
        ) from error
    return grpc, messages


def pack(messages: Any, items: Sequence[Encoded]) -> Any:
    """As columns: the bytes of all in one piece, how long each one is, and its codec."""
    lengths = [len(data) for data, _ in items]
    codecs = [codec for _, codec in items]
    if len(set(lengths)) <= 1:
        lengths = lengths[:1] if len(items) > 1 else []
    if len(set(codecs)) <= 1:
        codecs = [] if codecs[0] == RAW else codecs[:1]
    return messages.Items(data=b"".join(data for data, _ in items), count=len(items), lengths=lengths, codec=codecs)


def unpack(items: Any) -> list[Encoded]:
    """@raise ValueError when the columns contradict each other"""
    count, data = items.count, items.data
    lengths, codecs = list(items.lengths), list(items.codec)
    if len(lengths) <= 1:
        lengths = (lengths or [len(data)]) * count
    codecs = (codecs or [RAW]) * count if len(codecs) <= 1 else codecs
    if len(lengths) != count or len(codecs) != count or sum(lengths) != len(data):
        raise ValueError(
            f"a batch of {count} items carries {len(lengths)} lengths, {len(codecs)} codecs and {len(data)} bytes"
        )
    found: list[Encoded] = []
    at = 0
    for length, codec in zip(lengths, codecs):
        found.append((data[at : at + length], codec))
        at += length
    return found


def covered_by(ranges: Sequence[Any]) -> Callable[[int], bool]:
    """Whether a number is in one of the ranges, which are in order, and none in another."""
    firsts = [one.first for one in ranges]

    def covered(number: int) -> bool:
        at = bisect_right(firsts, number) - 1
        return at >= 0 and number < firsts[at] + ranges[at].count

    return covered
