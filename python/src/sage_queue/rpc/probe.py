"""Why a server ended a connection before a word was said. gRPC does not tell: it sees only that the connection went."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time

from .failures import SPEAKS_TLS
from .remote import Endpoint, TlsMaterial

_WITHIN = 1.0
#: How every HTTP/2 connection begins, with an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"


def why_refused(endpoint: Endpoint, tls: TlsMaterial | None) -> str | None:
    """Asks once more, without gRPC, for a second at most.

    What the other side, or TLS, has against it; None where it does not say, or cannot be asked: through a proxy, with a client
    certificate, which Python's TLS takes out of files only, or under the name that gRPC gives a socket."""
    proxied = not endpoint.is_local and any(os.environ.get(name) for name in ("grpc_proxy", "https_proxy", "http_proxy"))
    if proxied or (tls is not None and (tls.cert is not None or endpoint.port is None)):
        return None
    end = time.monotonic() + _WITHIN
    name = None if tls is None else endpoint.host
    try:
        with _connect(endpoint) as plain, _context(tls).wrap_socket(plain, server_hostname=name) as wrapped:
            if tls is None:  # nothing is said to it: whether it answers in TLS is all that is asked
                return SPEAKS_TLS
            # A server that misses a certificate says so after the handshake.
            wrapped.sendall(_PREFACE)
            wrapped.settimeout(max(0.01, end - time.monotonic()))
            wrapped.recv(1)
    except ssl.SSLError as error:
        return None if tls is None else str(error)
    except (OSError, ValueError):
        return None
    return None


def _connect(endpoint: Endpoint) -> socket.socket:
    if endpoint.port is not None:
        return socket.create_connection((endpoint.host, endpoint.port), _WITHIN)
    local = socket.socket(socket.AF_UNIX)
    try:
        local.settimeout(_WITHIN)
        local.connect(endpoint.host)
    except BaseException:
        local.close()
        raise
    return local


def _context(tls: TlsMaterial | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with contextlib.suppress(NotImplementedError):
        context.set_alpn_protocols(["h2"])
    if tls is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.roots is not None:
        context.load_verify_locations(cadata=tls.roots.decode())
    else:
        context.load_default_certs()
    return context
