"""One picture from the web: limited in time, in bytes and in redirects.

A request of its own connection, because a list of pictures seldom asks one host twice in a row.
Proxies that the environment names are not used: behind one, nobody could check which machine is
asked in the end (see `addresses`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import socket
import ssl
import time
import urllib.parse
from typing import cast

from flamingo_jax.preparation.obelics import addresses
from flamingo_jax.preparation.obelics.addresses import WebAddress
from flamingo_jax.preparation.obelics.outcomes import FetchFailed, Outcome

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_WORTH_A_RETRY = (408, 425, 429, 500, 502, 503, 504)
_CHUNK_BYTES = 65536
_LONGEST_WAIT = 10.0
# With "image/*" some servers send kinds that nobody here reads, such as AVIF.
_ACCEPTED = "image/jpeg,image/png,image/webp,image/gif,*/*;q=0.5"
# What owners of pictures write into the header X-Robots-Tag to keep them out of training data.
_OPT_OUT = frozenset({"noai", "noimageai"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """How pictures are asked for.

    Attributes:
        timeout: seconds for one attempt, from the connection to the last byte, redirects included.
        retries: further attempts where the first one may have failed by chance.
        max_bytes: largest file.
        allow_private: takes hosts of private networks and this machine too.
        user_agent: how the program names itself.
        first_wait: seconds before the first retry; twice as long before the next one.
    """

    timeout: float
    retries: int
    max_bytes: int
    allow_private: bool
    user_agent: str
    first_wait: float = 1.0


def fetch(url: str, options: FetchOptions) -> bytes:
    """The file at a URL.

    Args:
        url: from anywhere; what may not be asked is refused.
        options: limits and manners.

    Returns:
        The body of the answer, at most `max_bytes`.

    Raises:
        FetchFailed: with the outcome of the last attempt.
    """
    attempt = 0
    while True:
        try:
            return _attempt(url, options)
        except FetchFailed as failed:
            if attempt >= options.retries or not failed.may_retry:
                raise
        time.sleep(min(options.first_wait * 2**attempt, _LONGEST_WAIT))
        attempt += 1


def _attempt(url: str, options: FetchOptions) -> bytes:
    deadline = time.monotonic() + options.timeout
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _ask(addresses.parse(url), options, deadline)
        if isinstance(answer, bytes):
            return answer
        url = _joined(url, answer.location)
    raise FetchFailed(Outcome.TOO_MANY_REDIRECTS, f"more than {_MOST_REDIRECTS}")


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; `http.client` reads headers as Latin-1, servers write UTF-8."""
    try:
        location = location.encode("latin-1").decode("utf-8")
        return urllib.parse.urljoin(url, location)
    except ValueError as error:
        raise FetchFailed(Outcome.BAD_URL, str(error)) from error


@dataclasses.dataclass(frozen=True)
class _Redirect:
    location: str


def _ask(address: WebAddress, options: FetchOptions, deadline: float) -> bytes | _Redirect:
    """One request and its answer."""
    try:
        with contextlib.closing(_connect(address, options.allow_private, deadline)) as connected:
            connection = http.client.HTTPConnection(address.host, address.port)
            # With a socket in place it makes no connection of its own.
            connection.sock = cast(socket.socket, _TimedSocket(connected, deadline))
            headers = {
                "Host": address.host_header,
                "User-Agent": options.user_agent,
                "Accept": _ACCEPTED,
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
            connection.request("GET", address.target, headers=headers)
            return _read(connection.getresponse(), options.max_bytes)
    except TimeoutError as error:
        raise FetchFailed(Outcome.TIMEOUT, may_retry=True) from error
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(Outcome.BAD_CERTIFICATE, error.verify_message) from error
    except http.client.IncompleteRead as error:
        raise FetchFailed(Outcome.INTERRUPTED_TRANSFER, str(error), may_retry=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(Outcome.CONNECTION_FAILED, str(error), may_retry=True) from error
    except ValueError as error:  # A name that no host can have, as TLS and IDNA see it.
        raise FetchFailed(Outcome.BAD_URL, str(error)) from error


def _connect(address: WebAddress, allow_private: bool, deadline: float) -> socket.socket:
    """A connection to the first address of the host that answers."""
    failure: OSError = OSError("no address")
    for family, place in addresses.resolve(address.host, address.port, allow_private):
        try:
            return _connect_to(address, family, place, deadline)
        except OSError as error:
            failure = error
    raise failure


def _connect_to(
    address: WebAddress, family: socket.AddressFamily, place: tuple, deadline: float
) -> socket.socket:
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.settimeout(_left(deadline))
        connected.connect(place)
        if address.scheme == "http":
            return connected
        connected.settimeout(_left(deadline))
        return _TLS.wrap_socket(connected, server_hostname=address.host)
    except BaseException:
        connected.close()
        raise


_TLS = ssl.create_default_context()


def _read(answer: http.client.HTTPResponse, max_bytes: int) -> bytes | _Redirect:
    """The body of an answer, or where it sends us."""
    location = answer.headers.get("Location")
    if answer.status in _REDIRECTS and location:
        return _Redirect(location)
    if answer.status != 200:
        raise FetchFailed(
            Outcome.http(answer.status), answer.reason, answer.status in _WORTH_A_RETRY
        )
    directives = ",".join(answer.headers.get_all("X-Robots-Tag", [])).lower()
    if not _OPT_OUT.isdisjoint(word.rpartition(":")[2].strip() for word in directives.split(",")):
        raise FetchFailed(Outcome.OPTED_OUT, directives)
    declared = answer.length
    if declared is not None and declared > max_bytes:
        raise FetchFailed(Outcome.TOO_LARGE, f"{declared} bytes")
    # The header may lie, or be missing: what counts is what comes.
    body = io.BytesIO()
    while chunk := answer.read1(_CHUNK_BYTES):
        body.write(chunk)
        if body.tell() > max_bytes:
            raise FetchFailed(Outcome.TOO_LARGE, f"over {max_bytes} bytes")
    if declared is not None and body.tell() < declared:
        raise http.client.IncompleteRead(b"", declared - body.tell())
    return body.getvalue()


def _left(deadline: float) -> float:
    """Seconds until the deadline.

    Raises:
        TimeoutError: none are left.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _TimedSocket:
    """As much of a socket as `http.client` needs, with one deadline for all that is read.

    A socket's own time limit holds for every single read: a server that sends a byte now and then
    would keep a thread for ever. It is closed by who opened it.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(_left(self._deadline))
        self._connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb", "http.client reads answers in binary"
        return io.BufferedReader(_TimedReader(self._connected, self._deadline))

    def close(self) -> None:
        pass


class _TimedReader(io.RawIOBase):
    """The bytes that a socket receives until a deadline."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._connected = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connected.settimeout(_left(self._deadline))
        return self._connected.recv_into(buffer)
