"""The two steps of a page, on their own."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.preparation.m3w import pages
from flamingo_jax.preparation.m3w.addresses import ImageReference
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import PageDocument, PictureDocument
from flamingo_jax.preparation.m3w.extraction import ExtractedPage
from flamingo_jax.preparation.m3w.near_duplicates import EvaluationPictures
from flamingo_jax.preparation.m3w.pages import Candidate, Picture, finish, page_rule, screen
from flamingo_jax.preparation.m3w.rules import ImageRule, PageRule
from tests.preparation.m3w.pictures import picture
from tests.preparation.m3w.texts import good_text

CONFIG = M3WConfig()
IMAGE = ImageReference(url="file:///a.jpg")


def _extracted(text: str, *images: ImageReference) -> ExtractedPage:
    return ExtractedPage(pieces=(text, *images))


def _candidate(*pieces: str | ImageReference) -> Candidate:
    return Candidate(key="0" * 32, url="file:///x.html", date="", digest="", pieces=pieces)


def _references(*names: str) -> list[ImageReference]:
    return [ImageReference(url=f"file:///{name}") for name in names]


@pytest.mark.parametrize(
    ("page", "rule"),
    [
        (_extracted(good_text(), IMAGE), None),
        # Pages that break all rules from one on: the first counts.
        (_extracted("rude " * 10), PageRule.NOT_ENGLISH),
        (_extracted("the rude pear " * 10), PageRule.BLOCKED_WORDS),
        (_extracted("the nice pear " * 10), PageRule.NO_IMAGE),
        (_extracted("the nice pear " * 10, IMAGE), PageRule.TOO_FEW_WORDS),
        (_extracted("the nice pear of old " * 10, IMAGE), PageRule.TOP_2_GRAM),
    ],
)
def test_rules_have_the_order_of_the_paper(page: ExtractedPage, rule: PageRule | None) -> None:
    config = dataclasses.replace(CONFIG, blocked_words=("rude",))
    assert page_rule(page, config) is rule


def test_a_page_that_nothing_can_read_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> ExtractedPage:
        raise RecursionError("a page that nobody thought of")

    monkeypatch.setattr(pages, "extract", fail)
    candidate, counts = screen(PageDocument(url="file:///x.html", html=b"<p>x"), CONFIG)
    assert candidate is None
    assert counts == {("pages", "in"): 1, ("pages", "unreadable"): 1}


def test_bytes_that_are_no_page_never_raise() -> None:
    random = np.random.default_rng(0)
    for length in (0, 1, 10, 1000, 5000):
        for _ in range(20):
            data = random.integers(0, 256, length, np.uint8).tobytes()
            mixed = bytes(random.choice(list(b"<>/!-= \"'&;#ap\xff"), length))
            for html in (data, mixed):
                candidate, counts = screen(PageDocument(url="http://h/", html=html), CONFIG)
                assert candidate is None and counts["pages", "in"] == 1
                assert ("pages", "unreadable") not in counts


def test_a_dropped_page_drops_its_pictures() -> None:
    html = b"<p>one two three four five six seven eight nine ten</p>" + b"<img src=a.jpg>" * 3
    _, counts = screen(PageDocument(url="http://h/", html=html), CONFIG)
    assert counts == {
        ("pages", "in"): 1, ("pages", "not_english"): 1,
        ("images", "in"): 3, ("images", "page_dropped"): 3,
    }  # fmt: skip


def test_candidates_are_named_by_their_address() -> None:
    paragraphs = "".join(f"<p>{part}</p>" for part in good_text().split("\n\n"))
    html = f"{paragraphs}<img src=a.jpg>".encode()
    first, _ = screen(PageDocument(url="http://h/1", html=html, date="2021"), CONFIG)
    same, _ = screen(PageDocument(url="http://h/1", html=html + b" ", date="2020"), CONFIG)
    other, _ = screen(PageDocument(url="http://h/2", html=html), CONFIG)
    assert first is not None and same is not None and other is not None
    assert first.key == same.key != other.key
    assert len(first.key) == 32 and int(first.key, 16) >= 0
    assert first.rank > same.rank
    assert first.image_urls == ("http://h/a.jpg",)


def test_shards_share_the_pages_evenly() -> None:
    shards = Counter(pages.shard_of(pages.page_key(f"http://h/{n}"), 4) for n in range(4000))
    assert sorted(shards) == [0, 1, 2, 3]
    assert min(shards.values()) > 900


def test_pictures_of_one_address() -> None:
    old, new = (PictureDocument(url="u", data=b"x", date=date) for date in ("2020", "2021"))
    assert pages.picture_rank(new) > pages.picture_rank(old)
    other = PictureDocument(url="u", data=b"y", date="2021")
    assert pages.picture_rank(new) != pages.picture_rank(other)


def test_texts_around_a_dropped_picture_become_one() -> None:
    a, b, c = _references("a", "b", "c")
    found, counts = finish(
        _candidate(a, "one", b, "two", c, "three"), {b.url: picture()}.get, CONFIG, None
    )
    assert found is not None
    assert found.pieces == ("one", Picture(url=b.url, data=picture()), "two\n\nthree")
    assert counts == {("pages", "out"): 1, ("images", "out"): 1, ("images", "missing_media"): 2}


def test_reasons_of_the_store_are_counted() -> None:
    def find(url: str) -> bytes | None:
        raise BadSample(Reason.UNSAFE_NAME, url)

    found, counts = finish(_candidate("one", *_references("a", "b")), find, CONFIG, None)
    assert found is None
    assert counts == {("pages", "no_image_left"): 1, ("images", "unsafe_name"): 2}


def test_near_duplicates_are_dropped_wherever_they_stand() -> None:
    a, b = _references("a", "b")
    seen = []

    def embed(files: list[bytes]) -> np.ndarray:
        seen.extend(files)
        return np.array([[1.0, 0.0] if data == picture(seed=1) else [0.0, 1.0] for data in files])

    evaluation = EvaluationPictures(
        embed=embed, embeddings_NE=np.array([[1, 0]], np.float32), min_cosine=0.9
    )
    store = {a.url: picture(seed=1), b.url: picture(seed=2)}
    found, counts = finish(_candidate(a, "one", b, "two", a), store.get, CONFIG, evaluation)
    assert found is not None
    assert found.pieces == ("one", Picture(url=b.url, data=picture(seed=2)), "two")
    assert counts["images", "near_duplicate"] == 2 and counts["images", "out"] == 1
    assert len(seen) == 2  # A picture that stands twice is looked at once.


def test_every_reason_of_a_picture_has_a_rule() -> None:
    for reason in (
        Reason.EMPTY_FILE, Reason.NOT_AN_IMAGE, Reason.IMAGE_TOO_LARGE, Reason.TRUNCATED_IMAGE,
        Reason.UNSAFE_NAME, Reason.MISSING_MEDIA,
    ):  # fmt: skip
        assert ImageRule(reason.value)
