"""HTML text to tokens, in one pass from left to right.

The standard library's tokenizer takes time that grows with the square of the length of some broken
pages (minutes for 60 KB of unclosed tags), and a crawl has such pages. Here every step moves on, so
the time grows with the length alone. What is a tag, a comment or text is decided as in browsers.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator

_TAG_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
_BETWEEN_ATTRIBUTES = re.compile(r"[\s/]*")
_ATTRIBUTE_NAME = re.compile(r"=?[^\s/>=]*")
_EQUALS = re.compile(r"\s*=\s*")
_BARE_VALUE = re.compile(r"[^\s>]*")
# A name without a semicolon stands for itself in addresses such as `?a=1&copy=2`.
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|\w+;|\w+(?![\w=]))")

_RAW = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes"})
_RAW_WITH_REFERENCES = frozenset({"title", "textarea"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartTag:
    """`<tag name="value">`: names in lower case; of two attributes of a name, the first."""

    tag: str
    attributes: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EndTag:
    """`</tag>`."""

    tag: str


Token = StartTag | EndTag | str
"""A string is text; references such as `&amp;` are resolved in it."""


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a page; comments and declarations are left out.

    A tag or comment that never ends is left out with all that follows, as in browsers.
    """
    position = 0
    while position < len(text):
        start = text.find("<", position)
        if start != position:
            end = len(text) if start < 0 else start
            yield html.unescape(text[position:end])
            position = end
        elif text.startswith("<!--", position):
            position = _after(text, "-->", position + 2)
        elif name := _TAG_NAME.match(text, position + 1):
            tag, attributes, position = _start_tag(text, name)
            if tag:
                yield StartTag(tag=tag, attributes=attributes)
                if tag in _RAW or tag in _RAW_WITH_REFERENCES:
                    end = _end_of_raw(text, tag, position)
                    inside = text[position:end]
                    yield inside if tag in _RAW else html.unescape(inside)
                    position = end
        elif text.startswith("</", position) and (name := _TAG_NAME.match(text, position + 2)):
            position = _after(text, ">", name.end())
            yield EndTag(tag=name[0].lower())
        elif text.startswith(("</", "<!", "<?"), position):
            position = _after(text, ">", position + 2)
        else:
            yield "<"
            position += 1


def _after(text: str, mark: str, position: int) -> int:
    """The place behind the next mark, the end of the text if there is none."""
    found = text.find(mark, position)
    return len(text) if found < 0 else found + len(mark)


def _start_tag(text: str, name: re.Match[str]) -> tuple[str, dict[str, str], int]:
    """Tag, attributes, and the place behind; the tag is "" if it never ends."""
    attributes: dict[str, str] = {}
    position = name.end()
    while position < len(text):
        position = _end_of(_BETWEEN_ATTRIBUTES, text, position)
        if text.startswith(">", position):
            return name[0].lower(), attributes, position + 1
        end = _end_of(_ATTRIBUTE_NAME, text, position)
        attribute, position = text[position:end].lower(), end
        value = ""
        if equals := _EQUALS.match(text, position):
            position = equals.end()
            quote = text[position : position + 1]
            if quote in ("'", '"'):
                end = text.find(quote, position + 1)
                if end < 0:
                    break
                value, position = text[position + 1 : end], end + 1
            else:
                end = _end_of(_BARE_VALUE, text, position)
                value, position = text[position:end], end
        attributes.setdefault(attribute, _REFERENCE.sub(_resolve, value))
    return "", {}, len(text)


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    """The end of a pattern that matches anywhere, if only the empty string."""
    found = pattern.match(text, position)
    assert found is not None
    return found.end()


def _resolve(reference: re.Match[str]) -> str:
    return html.unescape(reference[0])


def _end_of_raw(text: str, tag: str, position: int) -> int:
    """Where the end tag of an element begins in which there are no tags."""
    found = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(text, position)
    return found.start() if found else len(text)
