"""A page's tree to its title and main body: plain text with the pictures where they stand.

The paper takes the text that MassiveWeb's scraper finds, "groups of coherent text at the same level
of the HTML tree", and with it the images found at that level. Here a level is a generic container
(div, section, article, ...) with what is in it, but not what is in the containers inside it:

- a level is body text if it holds at least `min_block_words` words, most of them not in links;
- its text and pictures are taken in document order, and so are those of the body levels in it;
- a container with hardly a word in it, such as a div around one picture, is not a level of its own:
  its pictures belong to the level around it, its text is left out;
- pictures next to a body level are taken too: the picture above an article's text.

Navigation, headers, footers, asides, forms, scripts and what is hidden is left out before.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from flamingo_jax.preparation.m3w.addresses import ImageReference, image_reference, resolved
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.html_tree import BLOCKS, Element, names
from flamingo_jax.preparation.m3w.plain_text import TextBuilder

_DROPPED = names(
    "head nav header footer aside script style noscript template button select textarea option"
    " iframe frame frameset object embed applet svg math canvas audio video map dialog"
    " datalist"
)
_DROPPED_ROLES = names(
    "navigation banner contentinfo complementary search form dialog alertdialog menu menubar"
    " toolbar"
)
_LEVELS = names("html body main article section div center details fieldset form")
"""Containers that say nothing about what is in them."""

_CELLS = names("td th")
_LAYOUT = names("div p table ul ol h1 h2 h3 h4 h5 h6 section article form center")
"""A table's cell with one of these in it is a container: the table is there for layout."""

_SINGLE_BREAK = names("li dt dd tr")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractedPage:
    """What is left of a page.

    Attributes:
        pieces: title and main body: texts, none empty and never two in a row, and pictures.
    """

    pieces: tuple[str | ImageReference, ...]

    @property
    def text(self) -> str:
        """All texts as one; paragraphs are parted by empty lines."""
        return "\n\n".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def num_images(self) -> int:
        """How many pictures the page has."""
        return sum(isinstance(piece, ImageReference) for piece in self.pieces)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Text:
    text: str
    in_link: bool
    is_preformatted: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Break:
    """The end of a line (1) or of a paragraph (2)."""

    strength: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Bullet:
    """The beginning of a list's item, or its end."""

    begins: bool


@dataclasses.dataclass(kw_only=True)
class _Level:
    """What stands at one level; see the head of the module."""

    items: list[_Text | _Break | _Bullet | ImageReference | _Level]
    num_words: int = 0
    is_body: bool = False
    holds_body: bool = False
    num_words_below: int = 0

    def judge(self, config: M3WConfig) -> None:
        """Sets what follows from the items; levels below are judged before."""
        texts = [item for item in self.items if isinstance(item, _Text)]
        below = [item for item in self.items if isinstance(item, _Level)]
        self.num_words = sum(len(item.text.split()) for item in texts)
        in_links = sum(len(item.text.split()) for item in texts if item.in_link)
        enough = self.num_words >= config.min_block_words
        self.is_body = enough and in_links <= config.max_link_share * self.num_words
        self.holds_body = self.is_body or any(level.holds_body for level in below)
        self.num_words_below = self.num_words + sum(level.num_words_below for level in below)


def extract(root: Element, url: str, config: M3WConfig) -> ExtractedPage:
    """Title and main body of a page.

    Args:
        root: the page's tree.
        url: its address, which relative addresses of pictures count from.
        config: what is body text.

    Returns:
        The page. Without body text it is the title alone.
    """
    title, base = _head(root)
    start = _main(root)
    walk = _Walk(base=resolved(base, url), config=config, num_words=_num_words(start))
    level = walk.level(start, in_link=False)
    builder = TextBuilder[ImageReference](title)
    for item in _taken(level, config):
        if isinstance(item, ImageReference):
            builder.add_image(item)
        elif isinstance(item, _Text):
            builder.add_text(item.text, item.is_preformatted)
        elif isinstance(item, _Break):
            builder.add_break(item.strength)
        else:
            builder.set_bullet(item.begins)
    return ExtractedPage(pieces=builder.pieces())


def _head(root: Element) -> tuple[str, str]:
    """Text of the first `<title>`, address of the first `<base>`."""
    title = base = ""
    for element in root.elements():
        if element.tag == "title" and not title:
            title = " ".join(element.text().split())
        elif element.tag == "base" and not base:
            base = element.attributes.get("href", "").strip()
    return title, base


def _main(root: Element) -> Element:
    """What the page marks as its main part, if it does so once; otherwise all of it."""
    marked = [
        element
        for element in root.elements()
        if element.tag == "main" or element.attributes.get("role", "").strip().lower() == "main"
    ]
    return marked[0] if len(marked) == 1 and marked[0].text().strip() else root


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Walk:
    """Sorts what is in a tree by level."""

    base: str
    config: M3WConfig
    num_words: int

    def level(self, element: Element, in_link: bool) -> _Level:
        level = _Level(items=[])
        self._walk(element, level, in_link, is_preformatted=element.tag == "pre")
        level.judge(self.config)
        return level

    def _walk(self, parent: Element, level: _Level, in_link: bool, is_preformatted: bool) -> None:
        for child in parent.children:
            if isinstance(child, str):
                level.items.append(
                    _Text(text=child, in_link=in_link, is_preformatted=is_preformatted)
                )
            elif not self._is_dropped(child):
                self._walk_element(child, level, in_link or child.tag == "a", is_preformatted)

    def _walk_element(
        self, child: Element, level: _Level, in_link: bool, is_preformatted: bool
    ) -> None:
        if child.tag == "img":
            if reference := image_reference(child, self.base):
                level.items.append(reference)
        elif child.tag == "br":
            level.items.append(_Break(strength=1))
        elif child.tag in _LEVELS or _is_layout(child):
            level.items += [_Break(strength=2), self.level(child, in_link), _Break(strength=2)]
        elif child.tag in _CELLS:
            space = _Text(text=" ", in_link=False, is_preformatted=False)
            level.items.append(space)
            self._walk(child, level, in_link, is_preformatted)
            level.items.append(space)
        elif child.tag in BLOCKS:
            strength = 1 if child.tag in _SINGLE_BREAK else 2
            level.items.append(_Break(strength=strength))
            if child.tag == "li":
                level.items.append(_Bullet(begins=True))
            self._walk(child, level, in_link, is_preformatted or child.tag == "pre")
            if child.tag == "li":
                level.items.append(_Bullet(begins=False))
            level.items.append(_Break(strength=strength))
        else:
            self._walk(child, level, in_link, is_preformatted)

    def _is_dropped(self, element: Element) -> bool:
        attributes = element.attributes
        if element.tag in _DROPPED or "hidden" in attributes:
            return True
        if attributes.get("role", "").strip().lower() in _DROPPED_ROLES:
            return True
        if attributes.get("aria-hidden") == "true" or _HIDDEN.search(attributes.get("style", "")):
            return True
        # Some servers put a form around the whole page.
        return element.tag == "form" and 2 * _num_words(element) <= self.num_words


def _num_words(element: Element) -> int:
    """Words that a reader may see: not those of scripts and the like."""
    num_words = 0
    left = [element]
    while left:
        for child in left.pop().children:
            if isinstance(child, str):
                num_words += len(child.split())
            elif child.tag not in _DROPPED:
                left.append(child)
    return num_words


def _is_layout(element: Element) -> bool:
    return element.tag in _CELLS and any(
        child.tag in _LAYOUT for child in element.children if isinstance(child, Element)
    )


def _taken(level: _Level, config: M3WConfig) -> Iterator[_Text | _Break | _Bullet | ImageReference]:
    """What is kept of a level and those in it, in order."""
    below = [item for item in level.items if isinstance(item, _Level)]
    takes_images = level.is_body or any(inner.is_body for inner in below)
    for item in level.items:
        if isinstance(item, _Level):
            if item.holds_body:
                yield from _taken(item, config)
            elif takes_images and item.num_words_below < config.min_block_words:
                yield from _images(item)
        elif isinstance(item, ImageReference):
            if takes_images:
                yield item
        elif isinstance(item, _Break) or level.is_body:
            yield item


def _images(level: _Level) -> Iterator[ImageReference]:
    for item in level.items:
        if isinstance(item, _Level):
            yield from _images(item)
        elif isinstance(item, ImageReference):
            yield item
