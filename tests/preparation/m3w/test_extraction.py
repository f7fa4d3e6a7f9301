"""Title and main body of pages, with pictures where they stand."""

from __future__ import annotations

import pytest

from flamingo_jax.preparation.m3w.addresses import ImageReference, normal_url
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.extraction import extract
from flamingo_jax.preparation.m3w.html_tree import parse_html

BODY = "The heron stands in the shallow water and waits for a fish."  # 12 words
OTHER = "Nobody has ever seen one of these birds in any hurry."  # 11 words
MENU = "one two three four five six seven eight nine ten eleven twelve"
URL = "https://example.org/birds/heron.html"


def _pieces(html: str, url: str = URL, config: M3WConfig = M3WConfig()) -> list[str]:  # noqa: B008
    """Texts as they are, pictures as "[address]" relative to the site."""
    pieces = extract(parse_html(html.encode()), url, config).pieces
    return [
        f"[{piece.url.removeprefix('https://example.org/')}]"
        if isinstance(piece, ImageReference)
        else piece
        for piece in pieces
    ]


def test_order_is_that_of_the_document() -> None:
    html = f"<img src=a.png><p>{BODY}</p><img src=/b.png><p>{OTHER}<img src=c.png></p>"
    assert _pieces(html) == ["[birds/a.png]", BODY, "[b.png]", OTHER, "[birds/c.png]"]


def test_title_comes_first_and_its_repetition_is_left_out() -> None:
    head = "<head><title> Grey \n heron</title></head>"
    assert _pieces(f"{head}<h1>Grey heron</h1><p>{BODY}") == [f"Grey heron\n\n{BODY}"]
    assert _pieces(f"{head}<img src=a.png><h1>Grey heron</h1><p>{BODY}") == [
        "Grey heron", "[birds/a.png]", BODY,
    ]  # fmt: skip
    assert _pieces(f"{head}<h1>Herons</h1><p>{BODY}") == [f"Grey heron\n\nHerons\n\n{BODY}"]
    assert _pieces(f"{head}<p>{BODY}<p>Grey heron") == [f"Grey heron\n\n{BODY}\n\nGrey heron"]


@pytest.mark.parametrize(
    "boilerplate",
    [
        f"<nav><p>{MENU}<img src=n.png></nav>",
        f"<header>{MENU}<img src=n.png></header>",
        f"<footer>{MENU}<img src=n.png></footer>",
        f"<aside><p>{MENU}<img src=n.png></aside>",
        f"<script>var x = '<p>{MENU}</p><img src=n.png>'</script>",
        f"<style>{MENU}</style>",
        f"<noscript>{MENU}<img src=n.png></noscript>",
        f"<form><p>{MENU}<img src=n.png></form>",
        f"<div hidden>{MENU}<img src=n.png></div>",
        f"<div style='color:red; display: none'>{MENU}<img src=n.png></div>",
        f"<div aria-hidden=true>{MENU}<img src=n.png></div>",
        f"<div role=navigation>{MENU}<img src=n.png></div>",
        # Most of the words are in links.
        f"<div><ul><li><a href=x>{MENU}</a> more</ul><img src=n.png></div>",
        # Too short for body text, too long for a caption's container: a level without either.
        "<div><div>one two three four</div><div>five six seven eight</div><div>nine ten"
        "</div><img src=n.png></div>",
    ],
)
def test_boilerplate_is_left_out(boilerplate: str) -> None:
    html = f"<body>{boilerplate}<p>{BODY}<p>{OTHER}</p>{boilerplate}<img src=a.png>"
    assert _pieces(html) == [f"{BODY}\n\n{OTHER}", "[birds/a.png]"]


def test_a_form_around_the_page_is_the_page() -> None:
    script = f"<script>{MENU * 9}</script>"
    html = f"<body>{script}<form><p>{BODY}<img src=a.png></form><p>one more"
    assert _pieces(html) == [BODY, "[birds/a.png]"]


def test_pictures_of_the_same_level_are_taken() -> None:
    # Alone in containers, next to the article's text, in links and figures.
    html = f"""
      <div class=article>
        <div class=hero><a href=x><picture><img src=a.png></picture></a></div>
        <div class=text><p>{BODY}</p><figure><img src=b.png><figcaption>A heron</figcaption>
          </figure>
          <div><div><img src=c.png></div></div></div>
      </div>
      <div class=others><div><p>{MENU}</div></div>
      <div class=ads><img src=d.png></div>"""
    # The last picture stands next to containers whose text is body text only further below.
    assert _pieces(html) == [
        "[birds/a.png]", BODY, "[birds/b.png]", "A heron", "[birds/c.png]", MENU,
    ]  # fmt: skip


def test_block_words_decide_what_is_body_text() -> None:
    html = "<div><p>one two three four</p><img src=a.png></div>"
    assert _pieces(html, config=M3WConfig(min_block_words=4)) == [
        "one two three four", "[birds/a.png]",
    ]  # fmt: skip
    assert _pieces(html, config=M3WConfig(min_block_words=5)) == []


def test_link_share_decides_what_is_a_menu() -> None:
    html = "<p>one two three four five <a href=x>six seven eight nine ten</a>"
    assert _pieces(html) == ["one two three four five six seven eight nine ten"]
    assert _pieces(html, config=M3WConfig(max_link_share=0.49)) == []


def test_the_main_part_is_taken_if_the_page_marks_one() -> None:
    html = f"<div><p>{OTHER}<img src=o.png></div><main><p>{BODY}<img src=a.png></main>"
    assert _pieces(html) == [BODY, "[birds/a.png]"]
    assert _pieces(html.replace("<main>", "<div role=main>")) == [BODY, "[birds/a.png]"]
    # Marked twice, or empty: all of the page counts.
    assert _pieces(html + "<main>x</main>")[0] == OTHER
    assert _pieces(f"<p>{OTHER}<main></main>") == [OTHER]


def test_lines_lists_tables_and_code() -> None:
    html = f"""<p>{BODY}<br>Second&nbsp;line,
      <b>bold</b>er. <ul><li>first <i>item</i><li><p>second</p><li></ul><ol><li>third</ol>
      <table><tr><th>a</th><td>b</td><tr><td>c<td>d</table><pre>x = 1
  y = 2

z</pre><p>end"""
    assert _pieces(html) == [
        f"{BODY}\nSecond line, bolder.\n\n- first item\n\n- second\n\n- third\n\na b\nc d\n\n"
        "x = 1\n  y = 2\n\nz\n\nend"
    ]


def test_tables_for_layout_hold_levels() -> None:
    html = f"<table><tr><td><p>short</p></td><td><p>{BODY}</p><img src=a.png></td></table>"
    assert _pieces(html) == [BODY, "[birds/a.png]"]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("<img src='../x/a.png#top'>", "[x/a.png]"),
        ("<img src=' a b.png '>", "[birds/a b.png]"),
        ("<img src=HTTPS://Example.ORG:443/a.png>", "[a.png]"),
        ("<img src=data:image/gif;base64,R0lG data-src=lazy.png>", "[birds/lazy.png]"),
        ("<img data-original=lazy.png>", "[birds/lazy.png]"),
        ("<img src=data:image/gif;base64,R0lG>", None),
        ("<img alt=x>", None),
        ("<img src='http://['>", None),
        ("<img src=http://other.org:8080/a.png>", "[http://other.org:8080/a.png]"),
    ],
)
def test_addresses_of_pictures(image: str, found: str | None) -> None:
    assert _pieces(f"<p>{BODY}{image}") == [BODY, *([found] if found else [])]


def test_the_base_of_addresses() -> None:
    assert _pieces(f"<base href=/static/><p>{BODY}<img src=a.png>")[1] == "[static/a.png]"
    assert _pieces(f"<base href='http://['><p>{BODY}<img src=a.png>")[1] == "[birds/a.png]"


def test_normal_url() -> None:
    assert normal_url("HTTP://WWW.Example.org:80/A?b#c") == "http://www.example.org/A?b"
    assert normal_url("https://e.org:80/") == "https://e.org:80/"


def test_pages_that_are_hardly_pages() -> None:
    for html in ("", "<", "</p>", "<img src=a.png>", "\0\0", "<table><td>", "&#xD800; &#0;"):
        pieces = extract(parse_html(html.encode()), URL, M3WConfig()).pieces
        assert not any(isinstance(piece, ImageReference) for piece in pieces)
    deep = "<div>" * 3000 + BODY + "<img src=a.png>"
    assert _pieces(deep) == [BODY, "[birds/a.png]"]
