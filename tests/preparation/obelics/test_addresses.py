"""Which addresses are asked: nothing of the network that the program runs in."""

from __future__ import annotations

import socket

import pytest

from flamingo_jax.preparation.obelics import addresses
from flamingo_jax.preparation.obelics.outcomes import FetchFailed, Outcome


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::",
        "64:ff9b::a00:1",
    ],
)
def test_addresses_of_private_networks_are_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert addresses.is_public(address)


def test_a_name_is_refused_if_any_of_its_addresses_is_private(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getaddrinfo(host: str, port: int, type: int) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, type, 6, "", ("8.8.8.8", port)),
            (socket.AF_INET, type, 6, "", ("192.168.1.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(FetchFailed) as caught:
        addresses.resolve("two-faced.example", 80, allow_private=False)
    assert caught.value.outcome == Outcome.PRIVATE_ADDRESS
    assert len(addresses.resolve("two-faced.example", 80, allow_private=True)) == 2


@pytest.mark.parametrize(
    "address", ["http://2130706433/", "http://0x7f000001/", "http://127.1/", "http://[::1]/"]
)
def test_other_ways_to_write_an_address_do_not_help(address: str) -> None:
    parsed = addresses.parse(address)
    with pytest.raises(FetchFailed):
        addresses.resolve(parsed.host, parsed.port, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.jpg",
        "//host/a.jpg",
        "ftp://host/a.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http://",
        "http://host:99999/",
        "http://host:0/",
        "http://user:secret@host/",
        "http://[::1",
        "http://" + "a" * 70 + ".com/",
        "http://a..b/",
        "http://ho st/",
        "http://[fe80::1%25eth0]/",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        addresses.parse(url)
    assert caught.value.outcome == Outcome.BAD_URL


def test_a_line_break_cannot_add_a_header() -> None:
    parsed = addresses.parse("http://host/a\r\nX-Injected: 1")
    assert "\r" not in parsed.target and "\n" not in parsed.target


def test_host_port_and_target_are_those_of_the_url() -> None:
    parsed = addresses.parse("HTTPS://Bücher.Example:8443/a b?q=ü#part")
    assert parsed.scheme == "https"
    assert parsed.host == "xn--bcher-kva.example"
    assert parsed.host_header == "xn--bcher-kva.example:8443"
    assert parsed.target == "/a%20b?q=%C3%BC"
    assert addresses.parse("http://host").host_header == "host"
    assert addresses.parse("http://host").target == "/"
