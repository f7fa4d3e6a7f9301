"""Pages out of texts and pictures: joining, cleaning, and what is no page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import page_assembly
from tests.data.sources.page_datasets import dataset

A, B, C = (EncodedImage(data=name.encode(), name=name) for name in "abc")


@pytest.mark.parametrize(
    ("parts", "chunks", "media"),
    [
        (["one", A, "two"], ("one", "two"), (A,)),
        ([A, "two"], ("", "two"), (A,)),
        (["one", "two", A, "three", "four"], ("one|two", "three|four"), (A,)),
        # Pictures side by side stay: the next text follows the second.
        ([A, B, "two"], ("", "", "two"), (A, B)),
        # No text behind the last pictures.
        (["one", A, "two", B, C], ("one", "two"), (A,)),
        (["one", A, "two", B, " \n", C, "\t"], ("one", "two"), (A,)),
        # White space is no text, and does not stand at the ends of chunks.
        ([" one\n", "  ", "", A, "\u2003two "], ("one", "two"), (A,)),
        # The same picture may stand more than once.
        ([A, "one", A, "two"], ("", "one", "two"), (A, A)),
        (["a\0b\0", A, "x\ud83dy \ude00"], ("ab", "x\ufffdy \ufffd"), (A,)),
        (["\0", A, "\U0001f600"], ("", "\U0001f600"), (A,)),
    ],
)
def test_parts_become_chunks(
    parts: Sequence[str | EncodedImage], chunks: tuple[str, ...], media: tuple[EncodedImage, ...]
) -> None:
    page = page_assembly.assemble(parts, "|", "place", text_in_images=True)
    assert page.chunks == chunks
    assert tuple(page.media) == media
    assert page.text_in_images
    for chunk in page.chunks:
        chunk.encode()


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], Reason.NO_IMAGE),
        (["one", "two"], Reason.NO_IMAGE),
        ([A], Reason.NO_TEXT_AFTER_IMAGE),
        (["one", A, B], Reason.NO_TEXT_AFTER_IMAGE),
        (["one", A, "\0 "], Reason.NO_TEXT_AFTER_IMAGE),
    ],
)
def test_what_is_no_page(parts: Sequence[str | EncodedImage], reason: Reason) -> None:
    with pytest.raises(BadSample) as caught:
        page_assembly.assemble(parts, " ", "place")
    assert caught.value.reason is reason
    assert caught.value.name == "place"


def test_a_source_without_pages_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.data\[mine\]\.paths: the files have no page"):
        page_assembly.source(dataset("pages/mmc4", tmp_path, ["a"]), lambda n: None, 0, ())
