"""HTML bytes to a tree, whatever is wrong with them.

Follows browsers where pages depend on it: elements without an end tag, tags closed in the wrong
order, paragraphs and list items that are never closed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from flamingo_jax.preparation.m3w.html_tokens import EndTag, StartTag, tokens

MAX_DEPTH = 128
"""Elements nested deeper become siblings at this depth, as in browsers (which allow 512)."""


def names(text: str) -> frozenset[str]:
    """The names in a text, parted by spaces."""
    return frozenset(text.split())


_VOID = names("area base br col embed hr img input link meta param source track wbr")
BLOCKS = names(
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html li main menu nav ol p"
    " pre section summary table tbody td tfoot th thead tr ul"
)
_WHOLE = names(
    "applet audio button canvas map math noscript object select svg template video"
    " table tbody td tfoot th thead tr"
)
"""Elements that end with their end tag, whatever was left open in them."""

_SCOPES = names("html body table td th caption button object template")
"""What lies in one of these never closes an element outside."""

# A start tag closes the nearest open element of the first set, unless one of the second set lies
# between.
_LISTS = names("ul ol menu dir dl")
_CLOSES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset({"li"}), _LISTS | _SCOPES),
    "dt": (frozenset({"dt", "dd"}), _LISTS | _SCOPES),
    "dd": (frozenset({"dt", "dd"}), _LISTS | _SCOPES),
    "td": (frozenset({"td", "th"}), frozenset({"table"})),
    "th": (frozenset({"td", "th"}), frozenset({"table"})),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    "tbody": (frozenset({"thead", "tbody", "tfoot"}), frozenset({"table"})),
    "tfoot": (frozenset({"thead", "tbody", "tfoot"}), frozenset({"table"})),
    "option": (frozenset({"option"}), frozenset({"select"})),
}
_PARAGRAPH = frozenset({"p"})

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_META_CHARSET = re.compile(rb"""<meta[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_BYTES_WITH_META = 4096
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Browsers read these as their supersets, because pages that say so mean those.
_MEANT = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252"}


@dataclasses.dataclass(kw_only=True, eq=False)
class Element:
    """An element of the tree.

    Attributes:
        tag: in lower case.
        attributes: names in lower case; an attribute without a value has "".
        children: elements and texts in order.
    """

    tag: str
    attributes: dict[str, str]
    children: list[Element | str]

    def elements(self) -> Iterator[Element]:
        """This element and all below it, in document order."""
        open_elements = [self]
        while open_elements:
            element = open_elements.pop()
            yield element
            open_elements += [c for c in reversed(element.children) if isinstance(c, Element)]

    def text(self) -> str:
        """All text below, without marks of where elements end."""
        parts: list[str] = []
        left: list[Element | str] = [self]
        while left:
            node = left.pop()
            if isinstance(node, str):
                parts.append(node)
            else:
                left += reversed(node.children)
        return "".join(parts)


def parse_html(data: bytes, charset: str = "") -> Element:
    """The tree of a page.

    Args:
        data: the page.
        charset: what the server said of it; empty: nothing.

    Returns:
        The root, an element of tag "html". Broken markup gives a tree, never an error.
    """
    builder = _Builder()
    # Some encodings can write half of a pair of UTF-16 units; no other has a place for one.
    text = _LONE_SURROGATE.sub(_REPLACEMENT, decode_html(data, charset))
    for token in tokens(text):
        if isinstance(token, StartTag):
            builder.start(token.tag, token.attributes)
        elif isinstance(token, EndTag):
            builder.end(token.tag)
        else:
            builder.add_text(token)
    return builder.root


def decode_html(data: bytes, charset: str = "") -> str:
    """The text of a page: by its byte-order mark, else the server, the page itself, or its bytes.

    Bytes that mean nothing become U+FFFD. An encoding that is said but does not exist is passed
    over; without any, bytes that are valid UTF-8 are UTF-8, and others Windows-1252.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    said = [charset]
    if found := _META_CHARSET.search(data[:_BYTES_WITH_META]):
        said.append(found[1].decode("ascii", "replace"))
    for name in said:
        name = name.strip().strip("\"'").lower()
        # A page cannot say in ASCII that it is UTF-16: those that do are UTF-8.
        if not name or name.startswith("utf-16"):
            continue
        try:
            return data.decode(_MEANT.get(name, name), "replace")
        except (LookupError, ValueError):  # No such encoding, or one that is not for text.
            continue
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


class _Builder:
    """Puts tokens into a tree."""

    def __init__(self) -> None:
        self.root = Element(tag="html", attributes={}, children=[])
        self._open = [self.root]

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "html":
            self.root.attributes = attributes | self.root.attributes
            return
        if closes := _CLOSES.get(tag):
            self._close_nearest(*closes)
        elif tag in BLOCKS:
            self._close_nearest(_PARAGRAPH, _SCOPES)
        element = Element(tag=tag, attributes=attributes, children=[])
        self._open[-1].children.append(element)
        if tag not in _VOID and len(self._open) < MAX_DEPTH:
            self._open.append(element)

    def end(self, tag: str) -> None:
        if tag in _WHOLE:
            between: frozenset[str] = frozenset()
        elif tag in BLOCKS:
            between = _SCOPES
        else:  # An end tag of text style does not close the blocks that were opened within it.
            between = BLOCKS
        self._close_nearest(frozenset({tag}), between - {tag})

    def add_text(self, text: str) -> None:
        self._open[-1].children.append(text)

    def _close_nearest(self, tags: frozenset[str], between: frozenset[str]) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            tag = self._open[depth].tag
            if tag in tags:
                del self._open[depth:]
                return
            if tag in between:
                return
