"""Which web addresses may be fetched: http and https, and only hosts of the public internet.

Lists of pictures come from strangers. An address may name a machine of the network that this
program runs in (`http://169.254.169.254/`, `http://10.0.0.7/`), itself or through a name or a
redirect. So every host is resolved here, every one of its addresses is checked, and the connection
is then made to the very address that was checked.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
import urllib.parse

from flamingo_jax.preparation.obelics.outcomes import FetchFailed, Outcome

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_PORTS = {"http": 80, "https": 443}
# What a path and a query may hold unquoted (RFC 3986); "%" because quoted parts stay as they are.
_UNQUOTED = "/:?#[]@!$&'()*+,;=~-._%"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WebAddress:
    """The parts of a URL that a request is made of.

    Attributes:
        scheme: "http" or "https".
        host: in ASCII, lower case, an IPv6 address without brackets.
        port: that of the URL, else that of its scheme.
        target: path and query, quoted.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str) -> WebAddress:
    """Takes a URL apart.

    Args:
        url: from anywhere.

    Raises:
        FetchFailed: `BAD_URL`, not http or https, no host or none that can be, or a password.
    """
    try:
        parts = urllib.parse.urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        if ":" not in host:
            host = host.encode("idna").decode("ascii").lower()
    except ValueError as error:
        raise FetchFailed(Outcome.BAD_URL, str(error)) from error
    if parts.scheme not in _PORTS:
        raise FetchFailed(Outcome.BAD_URL, f"scheme {parts.scheme[:20]!r}")
    if not _HOST.fullmatch(host):
        raise FetchFailed(Outcome.BAD_URL, f"host {host[:80]!r}")
    if parts.username is not None or parts.password is not None:
        raise FetchFailed(Outcome.BAD_URL, "a user name in it")
    if port == 0:
        raise FetchFailed(Outcome.BAD_URL, "port 0")
    target = urllib.parse.quote(parts.path or "/", safe=_UNQUOTED)
    if not target.startswith("/"):
        target = f"/{target}"
    if parts.query:
        target = f"{target}?{urllib.parse.quote(parts.query, safe=_UNQUOTED)}"
    return WebAddress(
        scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], target=target
    )


def resolve(host: str, port: int, allow_private: bool) -> list[tuple[socket.AddressFamily, tuple]]:
    """The addresses of a host that may be connected to, in the order of the system's preference.

    Args:
        host: a name or an address.
        port: to connect to.
        allow_private: takes hosts of private networks and this machine too.

    Returns:
        (family, address to connect to), at least one.

    Raises:
        FetchFailed: `NAME_NOT_FOUND`; `PRIVATE_ADDRESS`, one of the addresses is not of the public
            internet.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(Outcome.NAME_NOT_FOUND, str(error)) from error
    if not allow_private:
        for *_, address in found:
            if not is_public(str(address[0])):
                raise FetchFailed(Outcome.PRIVATE_ADDRESS, f"{host} is {address[0]}")
    return [(family, address) for family, _, _, _, address in found]


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is one of the public internet."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        # An IPv4 address in the clothes of an IPv6 one leads to where the IPv4 one leads.
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo and parsed.teredo[1])
        if inner:
            return is_public(str(inner))
        if parsed in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
