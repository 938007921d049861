"""Where a queue of type `rpc` is and how to get there: read out of its descriptor and the credentials of whoever resolves it."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..descriptor import QueueDescriptor
from ..errors import InvalidDescriptorError, QueueConnectionError, describe
from .wire import load

#: Letters, digits and what names are made of; no scheme, path, port or space.
_NAME = re.compile(r"\w(?:[\w.-]*[\w.])?")
_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")
KNOWN = ("token", "ca", "cert", "key")


class Endpoint(NamedTuple):
    #: As gRPC wants it.
    target: str
    #: host:port, for messages.
    where: str
    #: Whether what goes there stays on this machine.
    is_local: bool
    #: A name, an address, or the path of a socket.
    host: str
    #: None: of a socket.
    port: int | None


class TlsMaterial(NamedTuple):
    """PEM texts; None: gRPC's own authorities, no client certificate."""

    roots: bytes | None
    key: bytes | None
    cert: bytes | None


class Remote(NamedTuple):
    #: The first that answers serves; at least one.
    endpoints: list[Endpoint]
    queue_id: str
    #: gRPC's; None: plain text.
    credentials: Any
    #: What they were made of.
    tls: TlsMaterial | None
    token: str | None


def _address(host: str) -> Any:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """A name other than localhost is taken to leave the machine."""
    if re.fullmatch(r"(?:.*\.)?localhost\.?", host, re.I):
        return True
    address = _address(host)
    return address is not None and bool((getattr(address, "ipv4_mapped", None) or address).is_loopback)


def _endpoint(given: str, port: Any) -> Endpoint | None:
    socket = re.fullmatch(r"unix:(?://)?(/.+)", given, re.S)
    if socket is not None:
        return Endpoint(f"unix:{socket[1]}", f"unix:{socket[1]}", True, socket[1], None)
    host = re.sub(r"^\[(.*)\]$", r"\1", given)
    is_v6 = _address(host) is not None and ":" in host
    if not is_v6 and (host != given or not _NAME.fullmatch(host)):
        return None
    where = f"[{host}]:{port}" if is_v6 else f"{host}:{port}"
    return Endpoint(f"dns:{where}", where, is_loopback(host), host, port)


def _endpoints(hosts: Any, port: Any) -> list[Endpoint]:
    names = [hosts] if str(hosts).startswith("unix:") else [host.strip() for host in str(hosts or "").split(",")]
    found = [_endpoint(name, port) for name in names]
    endpoints = [endpoint for endpoint in found if endpoint is not None]
    if not hosts or len(endpoints) < len(found):
        raise InvalidDescriptorError(
            "metadata.server_address of an 'rpc' descriptor is a name, an address, unix:/path, or several names and addresses "
            f"with commas; found {describe(hosts)}. The port stands in metadata.port."
        )
    if port is None and not all(endpoint.target.startswith("unix:") for endpoint in endpoints):
        raise InvalidDescriptorError("a descriptor of type 'rpc' needs metadata.port, from 1 to 65535; found none.")
    return endpoints


def _pem(name: str, given: Any) -> bytes | None:
    """A PEM text as it is, anything else as the path of a file that holds one. No message repeats a key."""
    if given is None:
        return None
    text = given.decode() if isinstance(given, bytes) else str(given)
    if "-----BEGIN" in text:
        return text.encode()
    try:
        return Path(text).read_bytes()
    except OSError as error:
        path = "" if name.endswith("key") else f" {describe(text)}"
        raise QueueConnectionError(
            f"{name}{path} is neither a PEM text nor the path of a file that can be read ({error.strerror})"
        ) from None


def _system_authorities() -> bytes | None:
    """gRPC brings authorities of its own; whoever administrates this machine may have others."""
    context = ssl.create_default_context()
    texts = [ssl.DER_cert_to_PEM_cert(one) for one in context.get_ca_certs(binary_form=True)]
    return "".join(texts).encode() or None


def _tls_material(descriptor: QueueDescriptor, given: Mapping[str, Any], is_local: bool) -> TlsMaterial | None:
    """Plain text where it cannot leave the machine or where the descriptor says tls: 'off'; TLS otherwise."""
    tls = descriptor.metadata.get("tls")
    ca, cert, key = given.get("ca"), given.get("cert"), given.get("key")
    wanted = tls if tls is not None else "off" if is_local and ca is None and cert is None else "system"
    if wanted == "off":
        return None
    named = wanted.get("ca") if isinstance(wanted, Mapping) else None
    roots = _pem("credentials ca", ca) if ca is not None else _pem("metadata.tls.ca", named)
    own_key, own_cert = _pem("credentials key", key), _pem("credentials cert", cert)
    if (own_key is None) != (own_cert is None):
        raise QueueConnectionError("a client certificate takes both credentials: cert and key")
    return TlsMaterial(roots or _system_authorities(), own_key, own_cert)


def bearer_token(token: Any) -> str | None:
    """@raise QueueConnectionError, without the token, where no header can carry it"""
    if token is None or (isinstance(token, str) and (token == "" or _HEADER.fullmatch(token))):
        return token  # type: ignore[no-any-return, unused-ignore]
    raise QueueConnectionError(
        "credentials token must be a text of printable ASCII without spaces at its ends, since it travels in a header. "
        "Was a line break read along with it?"
    )


def read_remote(descriptor: QueueDescriptor, credentials: Mapping[str, Any] | None) -> Remote:
    """@raise InvalidDescriptorError when the metadata names no server; QueueConnectionError when the credentials are of no use"""
    given = credentials or {}
    for name in given:
        if name not in KNOWN:
            raise TypeError(f"credentials have {', '.join(KNOWN)}; found {name!r}")
    metadata = descriptor.metadata
    endpoints = _endpoints(metadata.get("server_address"), metadata.get("port"))
    is_local = all(endpoint.is_local for endpoint in endpoints)
    tls = _tls_material(descriptor, given, is_local)
    channel = None if tls is None else load()[0].ssl_channel_credentials(*tls)
    return Remote(endpoints, descriptor.queue_id, channel, tls, bearer_token(given.get("token")))
