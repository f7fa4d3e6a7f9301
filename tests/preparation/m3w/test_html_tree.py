"""Trees of pages with markup as it is found."""

from __future__ import annotations

import pytest

from flamingo_jax.preparation.m3w.html_tree import MAX_DEPTH, Element, decode_html, parse_html


def _shape(node: Element | str) -> str:
    """A tree in short: "p(text b(text))"."""
    if isinstance(node, str):
        return node.strip()
    inside = " ".join(filter(None, map(_shape, node.children)))
    return f"{node.tag}({inside})"


@pytest.mark.parametrize(
    ("html", "shape"),
    [
        ("<p>a<p>b", "html(p(a) p(b))"),
        ("<p>a<div>b</div>c", "html(p(a) div(b) c)"),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>e", "html(ul(li(a) li(b ul(li(c))) li(d)) e)"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "html(table(tr(td(a) td(b)) tr(td(c))))"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "html(dl(dt(a) dd(b) dt(c)))"),
        ("<td>a<table><tr><td>b</table>c", "html(td(a table(tr(td(b))) c))"),
        # Tags closed in the wrong order, and closed without having been opened.
        ("<div><b>a<p>b</b>c</p></div>d", "html(div(b(a p(b c))) d)"),
        ("<div><i>a</div>b", "html(div(i(a)) b)"),
        ("a</p></div>b</html>c", "html(a b c)"),
        ("<img src=x>a<br/>b<div/>c", "html(img() a br() b div(c))"),
        ("<p><button><p>a</button>b", "html(p(button(p(a)) b))"),
        ("<noscript><p>a</noscript>b", "html(noscript(p(a)) b)"),
        ("<svg><path/><g></svg>b", "html(svg(path(g())) b)"),
        ("<div>a<table><tr><td>b</div>c</table>d</div>e", "html(div(a table(tr(td(b c))) d) e)"),
        ("<noscript><table><tr><td>a</noscript>b", "html(noscript(table(tr(td(a)))) b)"),
        ("<html lang=en><body>a", "html(body(a))"),
    ],
)
def test_shapes(html: str, shape: str) -> None:
    assert _shape(parse_html(html.encode())) == shape


def test_depth_is_limited_and_nothing_is_lost() -> None:
    root = parse_html(b"<div>" * 5000 + b"deep<p>inner" + b"</div>" * 5000 + b"after")
    depth, element = 0, root
    while below := [child for child in element.children if isinstance(child, Element)]:
        depth, element = depth + 1, below[0]
    assert depth <= MAX_DEPTH
    assert root.text() == "deepinnerafter"


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("é".encode(), "", "é"),
        ("é".encode("cp1252"), "", "é"),
        ("é".encode("cp1252"), "ISO-8859-1", "é"),
        ("“".encode("cp1252"), "iso-8859-1", "“"),
        ("щ".encode("cp1251"), "windows-1251", "щ"),
        ("é".encode(), "no-such-charset", "é"),
        ("é".encode(), "base64", "é"),
        ("é".encode("utf-16"), "utf-8", "é"),
        (b"\xef\xbb\xbfa", "latin-1", "a"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
        ("<meta charset=shift_jis>猫".encode("shift_jis"), "", "<meta charset=shift_jis>猫"),
        (b'<meta http-equiv=x content="text/html; charset=koi8-r">' + "щ".encode("koi8-r"), "",
         '<meta http-equiv=x content="text/html; charset=koi8-r">щ'),
        # The server's word counts before the page's.
        ("<meta charset=koi8-r>é".encode(), "utf-8", "<meta charset=koi8-r>é"),
        (b"<meta charset=utf-16>a", "", "<meta charset=utf-16>a"),
    ],
)  # fmt: skip
def test_decode_html(data: bytes, charset: str, text: str) -> None:
    assert decode_html(data, charset) == text


def test_there_are_no_lone_surrogates() -> None:
    for html, charset in (
        (b"a&#xD800;b", ""),
        (b"a+2AA-b", "utf-7"),
        (b"a\\ud800b", "unicode_escape"),
    ):
        assert parse_html(html, charset).text() == "a\ufffdb"
