"""The tokenizer, and that broken pages take no longer than whole ones."""

from __future__ import annotations

import time

import pytest

from flamingo_jax.preparation.m3w.html_tokens import EndTag, StartTag, Token, tokens


def _start(tag: str, **attributes: str) -> StartTag:
    return StartTag(tag=tag, attributes=attributes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a &amp; b", ["a & b"]),
        ("1 < 2 & 3 > 2", ["1 ", "<", " 2 & 3 > 2"]),
        ("<P>x</P >", [_start("p"), "x", EndTag(tag="p")]),
        ("<!-- <p> -->x<!DOCTYPE html><?php a ?>y", ["x", "y"]),
        ("<!>x</ >y</!z>w", ["x", "y", "w"]),
        ("<![CDATA[x]]>y", ["y"]),
        ("<img src=a.png alt = 'b c' title=\"d>e\" hidden/>", [
            _start("img", src="a.png", alt="b c", title="d>e", hidden="")
        ]),
        ("<img src=a src=b>", [_start("img", src="a")]),
        ("<img src='x?a=1&copy=2&amp;b=3&lt'>", [_start("img", src="x?a=1&copy=2&b=3<")]),
        ("<a href=x/y>z", [_start("a", href="x/y"), "z"]),
        ("<script>a<b && '</p>'</SCRIPT>c", [
            _start("script"), "a<b && '</p>'", EndTag(tag="script"), "c"
        ]),
        ("<title>a <b> &amp; c</title>", [_start("title"), "a <b> & c", EndTag(tag="title")]),
        # What never ends takes the rest with it.
        ("x<!-- y", ["x"]),
        ("x<img src='y>z", ["x"]),
        ("x<script>y", ["x", _start("script"), "y"]),
        ("x</p", ["x", EndTag(tag="p")]),
        ("x<", ["x", "<"]),
        ("", []),
    ],
)  # fmt: skip
def test_tokens(text: str, expected: list[Token]) -> None:
    assert [token for token in tokens(text) if token] == expected


@pytest.mark.parametrize(
    "part", ["<a ", '<a x="', "<a =", "<!", "<!--", "</", "</b", "&", "<![", "<script>", "<a x=y"]
)
def test_time_grows_with_length_alone(part: str) -> None:
    # The standard library's tokenizer needs more than a minute for some of these.
    start = time.process_time()
    for _ in tokens(part * (100_000 // len(part))):
        pass
    assert time.process_time() - start < 5
