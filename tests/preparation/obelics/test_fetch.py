"""Fetching one picture: every way to fail has its own name, and none takes for ever."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flamingo_jax.preparation.obelics import fetch
from flamingo_jax.preparation.obelics.fetch import FetchOptions
from flamingo_jax.preparation.obelics.outcomes import FetchFailed, Outcome
from tests.preparation.obelics.picture_server import PictureServer, jpeg, serving

OPTIONS = FetchOptions(
    timeout=0.5,
    retries=0,
    max_bytes=200_000,
    allow_private=True,
    user_agent="test",
    first_wait=0.0,
)


@pytest.fixture(scope="module")
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


def outcome_of(url: str, options: FetchOptions = OPTIONS) -> str:
    with pytest.raises(FetchFailed) as caught:
        fetch.fetch(url, options)
    return caught.value.outcome


def test_a_picture_arrives_as_it_is_and_the_program_names_itself(server: PictureServer) -> None:
    assert fetch.fetch(f"{server.url}/good/a", OPTIONS).startswith(b"\xff\xd8\xff")
    assert server.user_agents == {"test"}


def test_a_redirect_is_followed(server: PictureServer) -> None:
    assert fetch.fetch(f"{server.url}/redirect", OPTIONS).startswith(b"\xff\xd8\xff")


def test_spaces_and_foreign_letters_of_a_url_are_quoted(server: PictureServer) -> None:
    fetch.fetch(f" {server.url}/good/zwei wörter%20x?a=b c ", OPTIONS)
    assert server.asked["/good/zwei%20w%C3%B6rter%20x?a=b%20c"] == 1


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/missing", "http_404"),
        ("/busy/once", "http_503"),
        ("/slow", Outcome.TIMEOUT),
        ("/drip", Outcome.TIMEOUT),
        ("/drip_headers", Outcome.TIMEOUT),
        ("/loop", Outcome.TOO_MANY_REDIRECTS),
        ("/to_file", Outcome.BAD_URL),
        ("/half_a_transfer", Outcome.INTERRUPTED_TRANSFER),
        ("/declared_large", Outcome.TOO_LARGE),
        ("/endless", Outcome.TOO_LARGE),
        ("/opted_out", Outcome.OPTED_OUT),
        ("/hangs_up", Outcome.CONNECTION_FAILED),
    ],
)
def test_each_failure_has_its_name_and_ends_in_time(
    server: PictureServer, path: str, outcome: str
) -> None:
    start = time.monotonic()
    assert outcome_of(f"{server.url}{path}") == outcome
    assert time.monotonic() - start < 1.4


def test_a_loop_of_redirects_is_asked_six_times(server: PictureServer) -> None:
    outcome_of(f"{server.url}/loop/counted")
    assert server.asked["/loop/counted"] == 6


def test_what_may_pass_is_tried_again_and_what_will_not_is_not(server: PictureServer) -> None:
    options = dataclasses.replace(OPTIONS, retries=2)
    assert fetch.fetch(f"{server.url}/busy/thrice", options).startswith(b"\xff\xd8\xff")
    assert server.asked["/busy/thrice"] == 3
    outcome_of(f"{server.url}/missing/once", options)
    assert server.asked["/missing/once"] == 1


def test_nobody_listening_is_a_failed_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.jpg"
        assert outcome_of(url) == Outcome.CONNECTION_FAILED


def test_a_server_of_https_that_speaks_http_is_a_failed_connection(server: PictureServer) -> None:
    url = server.url.replace("http:", "https:")
    assert outcome_of(f"{url}/good/a") == Outcome.CONNECTION_FAILED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of a server of our own, that nobody else has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl, which is not installed")
    file = tmp_path_factory.mktemp("certificate") / "both.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext"
    subprocess.run(
        ["openssl", *command.split(), "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", file],
        check=True,
        capture_output=True,
    )
    return file


def test_https_is_checked(
    server: PictureServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"{server.url.replace('http:', 'https:')}/good/a"
        assert outcome_of(url, dataclasses.replace(OPTIONS, retries=2)) == Outcome.BAD_CERTIFICATE
        trusting = ssl.create_default_context(cafile=str(certificate))
        monkeypatch.setattr(fetch, "_TLS", trusting)
        assert fetch.fetch(url, OPTIONS).startswith(b"\xff\xd8\xff")
        assert server.asked.total() == 1
        elsewhere = url.replace("127.0.0.1", "localhost")
        assert outcome_of(elsewhere) == Outcome.BAD_CERTIFICATE


def test_private_addresses_are_refused_before_anything_is_sent() -> None:
    with serving() as server:
        options = dataclasses.replace(OPTIONS, allow_private=False)
        assert outcome_of(f"{server.url}/good/a", options) == Outcome.PRIVATE_ADDRESS
        assert server.asked.total() == 0


def _answer(asked: socket.socket, answer: bytes) -> None:
    with asked:
        asked.recv(9999)
        asked.sendall(answer)


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public host sends us to the address where clouds keep their credentials."""
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/\r\n\r\n"
    ours, theirs = socket.socketpair()
    threading.Thread(target=_answer, args=(theirs, answer)).start()
    connected: list[str] = []

    def connect(address: fetch.WebAddress, allow_private: bool, deadline: float) -> socket.socket:
        connected.append(address.host)
        if address.host == "public.example":
            return ours
        return real_connect(address, allow_private, deadline)

    real_connect = fetch._connect
    monkeypatch.setattr(fetch, "_connect", connect)
    options = dataclasses.replace(OPTIONS, allow_private=False)
    assert outcome_of("http://public.example/a.jpg", options) == Outcome.PRIVATE_ADDRESS
    assert connected == ["public.example", "169.254.169.254"]


def test_the_largest_file_allowed_is_taken() -> None:
    size = len(jpeg(640, 480))
    with serving() as server:
        assert fetch.fetch(f"{server.url}/good/a", dataclasses.replace(OPTIONS, max_bytes=size))
        smaller = dataclasses.replace(OPTIONS, max_bytes=100)
        assert outcome_of(f"{server.url}/good/a", smaller) == Outcome.TOO_LARGE
