"""What happens to one page: two pure functions, between which its pictures are looked up.

`screen` judges a page by its text, `finish` by its pictures. Neither reads files, and neither knows
how pages are spread over machines.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable

from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.preparation.m3w import english, text_rules, yields
from flamingo_jax.preparation.m3w.addresses import ImageReference
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import PageDocument, PictureDocument
from flamingo_jax.preparation.m3w.extraction import ExtractedPage, extract
from flamingo_jax.preparation.m3w.html_tree import parse_html
from flamingo_jax.preparation.m3w.image_rules import check_image, image_rule
from flamingo_jax.preparation.m3w.near_duplicates import EvaluationPictures
from flamingo_jax.preparation.m3w.repetition import repetition
from flamingo_jax.preparation.m3w.rules import ImageRule, PageRule
from flamingo_jax.preparation.m3w.yields import IMAGES, IN, OUT, PAGES

_KEY_BYTES = 16

FindPicture = Callable[[str], bytes | None]
"""A picture's bytes by its address, None if it was not found; may raise BadSample."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A page whose text is good.

    Attributes:
        key: names the page in the output; the same for the same address.
        url: its address.
        date: when it was fetched.
        digest: of its bytes, to choose between pages of one address and date.
        pieces: texts and pictures in reading order, with at least one picture.
    """

    key: str
    url: str
    date: str
    digest: str
    pieces: tuple[str | ImageReference, ...]

    @property
    def image_urls(self) -> tuple[str, ...]:
        """The addresses of its pictures, in order; one may stand there twice."""
        return tuple(piece.url for piece in self.pieces if isinstance(piece, ImageReference))

    @property
    def rank(self) -> tuple[str, str]:
        """Of pages of one address, the one of the highest rank is taken: the latest."""
        return self.date, self.digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a finished page: its address and its JPEG file."""

    url: str
    data: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedPage:
    """A page that is kept.

    Attributes:
        key: names it.
        url: its address.
        pieces: texts, never two in a row, and at least one picture.
    """

    key: str
    url: str
    pieces: tuple[str | Picture, ...]


def page_key(url: str) -> str:
    """The name of a page in the output: 32 hexadecimal digits that follow from its address."""
    return hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=_KEY_BYTES).hexdigest()


def shard_of(key: str, num_shards: int) -> int:
    """The shard that a page is written to: from 0 to `num_shards` - 1."""
    return int(key, 16) % num_shards


def picture_rank(picture: PictureDocument) -> tuple[str, str]:
    """Of pictures of one address, the one of the highest rank is taken: the latest."""
    return picture.date, hashlib.blake2b(picture.data, digest_size=_KEY_BYTES).hexdigest()


def screen(page: PageDocument, config: M3WConfig) -> tuple[Candidate | None, yields.Counts]:
    """Judges a page by its text.

    Args:
        page: as it was found.
        config: the thresholds.

    Returns:
        The page if its text is good, otherwise None; and what is to be counted: the page and its
        pictures as come in, and as dropped if they are.
    """
    try:
        extracted = extract(parse_html(page.html, page.charset), page.url, config)
        rule = page_rule(extracted, config)
    except MemoryError:
        raise
    except Exception:  # No page, however strange, ends the run.
        return None, unreadable_page()
    counts: yields.Counts = Counter({(PAGES, IN): 1, (IMAGES, IN): extracted.num_images})
    if rule is not None:
        counts += dropped_page(rule, extracted.num_images)
        return None, counts
    return Candidate(
        key=page_key(page.url),
        url=page.url,
        date=page.date,
        digest=hashlib.blake2b(page.html, digest_size=_KEY_BYTES).hexdigest(),
        pieces=extracted.pieces,
    ), counts


def page_rule(page: ExtractedPage, config: M3WConfig) -> PageRule | None:
    """The first rule that the text of a page breaks, in the paper's order; None if it keeps all."""
    text = page.text
    if not english.is_english(text, config.min_english_share):
        return PageRule.NOT_ENGLISH
    if text_rules.blocked_word(text, config.blocked_words):
        return PageRule.BLOCKED_WORDS
    if not page.num_images:
        return PageRule.NO_IMAGE
    return text_rules.quality(text, config) or repetition(text, config)


def unreadable_page() -> yields.Counts:
    """What is counted for a page that cannot be read."""
    return Counter({(PAGES, IN): 1}) + dropped_page(PageRule.UNREADABLE, 0)


def dropped_page(rule: PageRule, num_images: int) -> yields.Counts:
    """What is counted, besides what came in, for a page that a rule drops with its pictures."""
    return Counter({(PAGES, rule.value): 1, (IMAGES, ImageRule.PAGE_DROPPED.value): num_images})


def finish(
    candidate: Candidate,
    find: FindPicture,
    config: M3WConfig,
    evaluation: EvaluationPictures | None,
) -> tuple[FinishedPage | None, yields.Counts]:
    """Judges a page by its pictures.

    Args:
        candidate: a page whose text is good.
        find: looks up pictures.
        config: the thresholds.
        evaluation: pictures that must not be in the output; None: there are none.

    Returns:
        The page if it has a picture left, otherwise None; and what is to be counted, besides what
        came in.
    """
    counts: yields.Counts = Counter()
    kept: dict[str, bytes] = {}
    dropped: dict[str, ImageRule] = {}
    for url in dict.fromkeys(candidate.image_urls):
        checked = _find_and_check(url, find, config)
        if isinstance(checked, ImageRule):
            dropped[url] = checked
        else:
            kept[url] = checked
    if evaluation is not None:
        found = evaluation.near_duplicates(list(kept.values()))
        for url in [url for url, is_known in zip(kept, found, strict=True) if is_known]:
            dropped[url] = ImageRule.NEAR_DUPLICATE
            del kept[url]

    for url in candidate.image_urls:
        counts[IMAGES, dropped[url].value if url in dropped else OUT] += 1
    if not kept:
        counts[PAGES, PageRule.NO_IMAGE_LEFT.value] += 1
        return None, counts
    counts[PAGES, OUT] += 1
    return FinishedPage(
        key=candidate.key, url=candidate.url, pieces=_with_pictures(candidate.pieces, kept)
    ), counts


def _find_and_check(url: str, find: FindPicture, config: M3WConfig) -> bytes | ImageRule:
    """The JPEG file of a picture, or why it is dropped."""
    try:
        data = find(url)
    except BadSample as bad:
        return image_rule(bad.reason)
    if data is None:
        return ImageRule.MISSING_MEDIA
    return check_image(EncodedImage(data=data, name=url), config)


def _with_pictures(
    pieces: tuple[str | ImageReference, ...], kept: dict[str, bytes]
) -> tuple[str | Picture, ...]:
    """The pieces with the kept pictures; texts that a dropped one stood between become one."""
    result: list[str | Picture] = []
    for piece in pieces:
        if isinstance(piece, ImageReference):
            if piece.url in kept:
                result.append(Picture(url=piece.url, data=kept[piece.url]))
        elif result and isinstance(last := result[-1], str):
            result[-1] = f"{last}\n\n{piece}"
        else:
            result.append(piece)
    return tuple(result)
