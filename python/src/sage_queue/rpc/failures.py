"""Errors across the wire: codes to classes, and what a broken stream means in words."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..errors import ItemTooLargeError, QueueConnectionError, QueueError, error_of_code
from .wire import CODE_HEADER, TRY_AGAIN

#: That a server which was spoken to in plain text speaks TLS.
SPEAKS_TLS = "the server speaks TLS"
OUTCOME_UNKNOWN = "its outcome is unknown"


class Failure(NamedTuple):
    error: QueueError
    #: Trying again would end the same way: waiting calls get the error now.
    permanent: bool


def from_wire(code: str, message: str) -> QueueError:
    """An unknown code becomes a QueueConnectionError that names it."""
    known = error_of_code(code, message)
    if known is not None:
        return known
    return QueueConnectionError(message if code == "ERR_QUEUE_CONNECTION" else f"{message} ({code})")


def as_another(error: QueueError, message: str) -> QueueError:
    """One of the same kind, with the same cause."""
    other = type(error)(message, error.code)
    other.outcome, other.__cause__ = error.outcome, error.__cause__
    return other


def with_outcome_unknown(error: QueueError) -> QueueError:
    error.outcome = "unknown"
    return error


def unknown_outcome(reason: str) -> QueueError:
    return with_outcome_unknown(QueueConnectionError(f"put: {reason}; {OUTCOME_UNKNOWN}"))


def item_too_large(length: int, limit: int) -> QueueError:
    return ItemTooLargeError(
        f"the encoded item has {length} bytes; the server takes at most {limit} (maxMessageBytes of QueueServer)"
    )


def unexpected(where: str, error: Exception) -> Failure:
    """What nobody foresaw went wrong here: trying again would end the same way, and whoever waits must not wait for ever."""
    found = QueueConnectionError(f"the connection to {where} met an error that it does not know: {error!r}; please report it")
    found.__cause__ = error
    return Failure(found, True)


_HTTP_REASONS = {
    "413": "the request is larger than it lets through (nginx: client_max_body_size)",
    "502": "it does not reach the server behind it",
    "503": "it has no server to send this to",
    "504": "the server behind it did not answer in its time",
}


def _explain_tls(where: str, details: str) -> str | None:
    """What is wrong with a certificate or with TLS itself; another attempt ends the same way."""
    if re.search(r"CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE", details):
        return f"the server at {where} asks for a client certificate, and none was given: credentials cert and key"
    if details == SPEAKS_TLS:
        return (
            f"the server at {where} speaks TLS, and was spoken to in plain text: give credentials ca, or tls: 'system' in the "
            "descriptor"
        )
    if "CERTIFICATE_EXPIRED" in details:
        return f"the server at {where} refused the client certificate in credentials cert: it has expired"
    if re.search(r"ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE", details):
        return (
            f"the server at {where} refused the client certificate in credentials cert: as it seems, another authority "
            "than its own has signed it"
        )
    if re.search(r"WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG", details):
        return f"the server at {where} does not speak TLS; give tls: 'off' if plain text is meant, or the right port"
    if re.search(r"certificate|handshake|SSL routines|Peer name", details, re.I):
        return f"TLS with {where} failed: {details}. Check the server's certificate, and the CA given in credentials ca"
    return None


#: Details that say no more than that the connection went.
_WENT = re.compile(r"Failed parsing HTTP/2|Socket closed|connection attempt timed out|FRAME_SIZE|tcp handshaker|preface|reset|Unwrap failed")


def says_nothing(ended: Any, grpc: Any) -> bool:
    """Whether that end of a stream does not say what is wrong."""
    return (
        isinstance(ended, grpc.RpcError)
        and ended.code() == grpc.StatusCode.UNAVAILABLE
        and _WENT.search(ended.details() or "") is not None
    )


def describe_stream_end(
    where: str, queue_id: str, ended: Any, grpc: Any, was_understood: bool, why: str | None = None
) -> Failure:
    """What the end of a stream to `where` (host:port) means. `ended`: gRPC's error or
    another that was met here, None: the server ended it.
    `was_understood`: plain text or TLS is not what is wrong. `why`: what the server said when it was asked once more."""

    def connection(text: str, permanent: bool = False) -> Failure:
        return Failure(QueueConnectionError(text), permanent)

    if ended is None:
        return connection(f"the server at {where} ended the stream")
    if not isinstance(ended, grpc.RpcError):
        return unexpected(where, ended)
    status, details = ended.code(), " ".join((ended.details() or "").split())
    code = dict(ended.trailing_metadata() or ()).get(CODE_HEADER)
    if code is not None:
        return connection(details) if code in TRY_AGAIN else Failure(from_wire(str(code), details), True)
    if status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return connection(f"the server at {where} refused the credentials: {details}", True)
    if status == grpc.StatusCode.UNIMPLEMENTED:
        return connection(
            f"what listens at {where} speaks gRPC but offers no sagequeue.v1.QueueService; is the port right?", True
        )
    if status == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return connection(f"the server at {where} has no room: {details}")
    details = re.sub(r"^failed to connect to all addresses; last error: ", "", details)
    tls = _explain_tls(where, why or details)
    if tls is not None:
        return connection(tls, True)
    http = re.search(r"(?:HTTP status code|http2 header with status:?) (\d+)", details)
    if http is not None:
        reason = f": {_HTTP_REASONS[http[1]]}" if http[1] in _HTTP_REASONS else ""
        return connection(f"what stands before the server at {where} answered with HTTP status {http[1]}{reason}")
    if re.search("Connection refused|No such file", details):
        return connection(f"nothing listens at {where} (connection refused); is the server running, is the port right?")
    if re.search("DNS resolution failed|Domain name not found|Name or service", details):
        return connection(f"the host of {where} has no address: {details}")
    if not was_understood and _WENT.search(details):
        details += "; does it speak gRPC, is the port right, does it want TLS (credentials ca, or tls: 'system')?"
    return connection(f"the connection to {where} for queue '{queue_id}' broke: {details or status}")
